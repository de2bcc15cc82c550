//! What an endpoint says of its models, in the forms that there are.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/models/list>, <https://openrouter.ai/docs/api-reference/list-available-models>,
//! <https://lmstudio.ai/docs/app/api/endpoints/rest>, <https://docs.ollama.com/api/ps>, and the sources of vLLM and llama.cpp.

use exai_config::{Dialect, Provider};
use serde_json::Value;

use super::candidate::KnownModel;
use super::limits::MAX_LISTED;

/// An id that is longer than this is none.
const MAX_ID_BYTES: usize = 200;

/// Where an endpoint of this dialect tells more of its models than in its list: an address beside `base_url`. What it says
/// there is a help, and nothing fails without it.
pub(super) fn detail_address(provider: &Provider) -> Option<(&str, &'static str)> {
    let path = match provider.dialect {
        // The models in memory.
        Dialect::Ollama => "/api/ps",
        // The kind, the state and the length of each model.
        Dialect::LmStudio => "/api/v0/models",
        _ => return None,
    };
    Some((provider.base_url.strip_suffix("/v1")?, path))
}

/// Reads `GET /models`. `None` if it is no list of models.
pub(super) fn read_list(document: &Value) -> Option<Vec<KnownModel>> {
    // `data` is the usual name, `models` that of a few; Together sends the bare list.
    let rows = document["data"]
        .as_array()
        .or_else(|| document["models"].as_array())
        .or_else(|| document.as_array())?;
    Some(rows.iter().filter_map(read_model).take(MAX_LISTED).collect())
}

/// Adds what [`detail_address`] says. A model in memory comes first.
pub(super) fn add_details(dialect: Dialect, models: &mut [KnownModel], document: &Value) {
    let Some(details) = read_list(document) else { return };
    for model in models.iter_mut() {
        let same = |detail: &&KnownModel| is_same(&detail.id, &model.id);
        let detail = details.iter().find(same);
        // Ollama names the models in memory and no others.
        let is_loaded = if dialect == Dialect::Ollama { Some(detail.is_some()) } else { None };
        let known = detail.cloned().unwrap_or_default();
        let id = std::mem::take(&mut model.id);
        *model = KnownModel { id, is_loaded: is_loaded.or(known.is_loaded), ..known }.or(model);
    }
    models.sort_by_key(|model| model.is_loaded != Some(true));
}

/// Ollama leaves out the tag where it is `latest`, or not.
fn is_same(one: &str, other: &str) -> bool {
    one.strip_suffix(":latest").unwrap_or(one) == other.strip_suffix(":latest").unwrap_or(other)
}

fn read_model(row: &Value) -> Option<KnownModel> {
    let id = ["id", "model", "name"].iter().find_map(|name| row[name].as_str()).or_else(|| row.as_str())?;
    if id.is_empty()
        || id.len() > MAX_ID_BYTES
        || id.chars().any(|char| char.is_control() || char.is_whitespace())
    {
        return None;
    }
    let number = |places: &[&str]| {
        places.iter().find_map(|place| row.pointer(place)?.as_u64().filter(|number| *number > 0))
    };
    let lists = |place: &str, word: &str| {
        let words = row.pointer(place)?.as_array()?;
        Some(words.iter().any(|listed| listed == word))
    };
    let usual = KnownModel::new(id);
    let kind = row["type"].as_str().unwrap_or_default();
    Some(KnownModel {
        context: number(&[
            "/loaded_context_length",       // LM Studio: what it was loaded with
            "/context_length",              // OpenRouter, Kimi, Ollama
            "/max_model_len",               // vLLM
            "/meta/n_ctx",                  // llama.cpp: what it was started with
            "/max_context_length",          // LM Studio: what it could be loaded with
            "/context_window",              // others
            "/top_provider/context_length", // OpenRouter
            "/meta/n_ctx_train",            // llama.cpp: what it was trained with
        ]),
        max_output: number(&[
            "/top_provider/max_completion_tokens",
            "/max_output_tokens",
            "/max_completion_tokens",
        ]),
        vision: lists("/architecture/input_modalities", "image")
            .or_else(|| row["supports_image_in"].as_bool())
            .or_else(|| (!kind.is_empty() && row["state"].is_string()).then_some(kind == "vlm")),
        thinking: lists("/supported_parameters", "reasoning").or_else(|| row["supports_reasoning"].as_bool()),
        is_loaded: match (row["state"].as_str(), row.pointer("/status/value").and_then(Value::as_str)) {
            // LM Studio; llama.cpp with several models.
            (Some(state), _) | (_, Some(state)) => Some(state == "loaded"),
            _ => None,
        },
        is_other_kind: usual.is_other_kind
            || kind == "embeddings"
            || lists("/architecture/output_modalities", "text") == Some(false),
        ..usual
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_each_endpoint_tells_is_read() {
        let known = |id: &str| KnownModel { id: id.to_owned(), ..KnownModel::default() };
        for (row, expected) in [
            (json!({"id": "gpt-5", "object": "model", "owned_by": "openai"}), known("gpt-5")),
            (
                json!({"id": "z-ai/glm-5", "context_length": 200_000, "architecture": {"input_modalities": ["text", "image"],
                       "output_modalities": ["text"]}, "top_provider": {"max_completion_tokens": 64_000},
                       "supported_parameters": ["reasoning"]}),
                KnownModel {
                    context: Some(200_000),
                    max_output: Some(64_000),
                    vision: Some(true),
                    thinking: Some(true),
                    ..known("z-ai/glm-5")
                },
            ),
            (
                json!({"id": "kimi-k3", "context_length": 262_144, "supports_image_in": false, "supports_reasoning": true}),
                KnownModel {
                    context: Some(262_144),
                    vision: Some(false),
                    thinking: Some(true),
                    ..known("kimi-k3")
                },
            ),
            (json!({"id": "q", "max_model_len": 32_768}), KnownModel { context: Some(32_768), ..known("q") }),
            (
                json!({"id": "q.gguf", "meta": {"n_ctx_train": 131_072, "n_ctx": 4096}, "status": {"value": "unloaded"}}),
                KnownModel { context: Some(4096), is_loaded: Some(false), ..known("q.gguf") },
            ),
            (
                json!({"id": "q", "type": "llm", "state": "loaded", "max_context_length": 32_768, "loaded_context_length": 8192}),
                KnownModel { context: Some(8192), vision: Some(false), is_loaded: Some(true), ..known("q") },
            ),
            (
                json!({"id": "x", "architecture": {"output_modalities": ["image"]}}),
                KnownModel { is_other_kind: true, ..known("x") },
            ),
        ] {
            assert_eq!(read_model(&row), Some(expected), "{row}");
        }
        for none in
            [json!({}), json!({"id": ""}), json!({"id": "a b"}), json!({"id": "x".repeat(300)}), json!(1)]
        {
            assert_eq!(read_model(&none), None);
        }
    }

    #[test]
    fn lists_have_several_forms() {
        let ids = |document: Value| {
            read_list(&document).map(|models| models.into_iter().map(|model| model.id).collect::<Vec<_>>())
        };
        let expected = || Some(vec!["a".to_owned()]);
        assert_eq!(ids(json!({"object": "list", "data": [{"id": "a"}, {"x": 1}]})), expected());
        assert_eq!(ids(json!({"models": [{"model": "a"}]})), expected());
        assert_eq!(ids(json!([{"id": "a"}])), expected());
        assert_eq!(ids(json!({"data": null})), None);
        assert_eq!(ids(json!({"error": "x"})), None);
    }

    #[test]
    fn models_in_memory_come_first() {
        let mut models = vec![KnownModel::new("a:latest"), KnownModel::new("b:7b")];
        add_details(
            Dialect::Ollama,
            &mut models,
            &json!({"models": [{"name": "b:7b", "model": "b:7b", "context_length": 4096}]}),
        );
        let read: Vec<_> = models.iter().map(|model| (&*model.id, model.is_loaded, model.context)).collect();
        assert_eq!(read, [("b:7b", Some(true), Some(4096)), ("a:latest", Some(false), None)]);
    }
}
