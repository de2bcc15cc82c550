//! What one piece of an answer says: a chunk of a stream, or a whole completion in one piece.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/chat-streaming>, and for what differs the documentation of
//! each endpoint in `dialect.rs`. Endpoints add members and leave others out, so only what is used here is looked at, and
//! a member of an unexpected type counts as absent.

use serde_json::Value;

use super::request::{Finish, Usage};

/// One piece of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chunk {
    /// New text.
    pub(crate) text: String,
    /// New thoughts.
    pub(crate) thought: String,
    /// Why the answer ends.
    pub(crate) end: Option<End>,
    /// What the call has cost.
    pub(crate) usage: Option<Usage>,
    /// The model that answers, as the endpoint calls it.
    pub(crate) model: Option<String>,
    /// An error instead of the rest of the answer: the document that holds it.
    pub(crate) error: Option<Value>,
}

/// Why an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The model or the provider ended it.
    Finished(Finish),
    /// The endpoint failed in the middle: its word for it.
    Failed(String),
}

impl Chunk {
    /// Reads a chunk of a stream or a completion.
    pub(crate) fn read(document: &Value) -> Self {
        let choice = &document["choices"][0];
        // A completion has `message` where a chunk has `delta`.
        let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        // Kimi puts the usage of a stream into the choice.
        let usage = usage_of(&document["usage"]).or_else(|| usage_of(&choice["usage"]));
        Chunk {
            text: text_of(&said["content"]),
            thought: thought_of(said),
            end: choice["finish_reason"].as_str().filter(|word| !word.is_empty()).map(end_of),
            usage,
            model: document["model"].as_str().filter(|name| !name.is_empty()).map(ToOwned::to_owned),
            error: is_error(document).then(|| document.clone()),
        }
    }
}

/// Whether a document tells an error. An `error` of null is none.
fn is_error(document: &Value) -> bool {
    let error = &document["error"];
    document["object"] == "error"
        || error.is_object()
        || error.is_string()
        // GLM and others: an error that stands alone.
        || (document["choices"].is_null() && document["code"] != Value::Null && document["message"].is_string())
}

/// A text, or the texts of a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// `reasoning_content` is the usual name; OpenRouter, Ollama and newer vLLM say `reasoning`.
fn thought_of(said: &Value) -> String {
    let named = ["reasoning_content", "reasoning"];
    named.iter().map(|name| text_of(&said[name])).find(|text| !text.is_empty()).unwrap_or_default()
}

fn usage_of(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64();
    let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0) })
}

fn end_of(word: &str) -> End {
    match word {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => End::Finished(Finish::Complete),
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => {
            End::Finished(Finish::Length)
        }
        "content_filter" | "sensitive" | "safety" | "SAFETY" => End::Finished(Finish::Filtered),
        // OpenRouter; GLM; DeepSeek; vLLM.
        "error" | "network_error" | "insufficient_system_resource" | "abort" => End::Failed(word.to_owned()),
        other => End::Finished(Finish::Other(other.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shapes_of_chunks_are_read() {
        let text = |text: &str| Chunk { text: text.to_owned(), ..Chunk::default() };
        let thought = |text: &str| Chunk { thought: text.to_owned(), ..Chunk::default() };
        let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        for (document, expected) in [
            (delta(json!({"content": "a"})), text("a")),
            (delta(json!({"role": "assistant", "content": ""})), Chunk::default()),
            (
                delta(json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})),
                text("ab"),
            ),
            (delta(json!({"content": null, "reasoning_content": "t"})), thought("t")),
            (delta(json!({"content": "", "reasoning": "t"})), thought("t")),
            (
                delta(json!({"content": "", "reasoning": "t", "reasoning_details": [{"text": "t"}]})),
                thought("t"),
            ),
            (delta(json!({"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]})), Chunk::default()),
            (delta(json!({"content": 7})), Chunk::default()),
            (
                json!({"choices": [{"message": {"content": "a", "reasoning_content": "t"}}]}),
                Chunk { text: "a".into(), thought: "t".into(), ..Chunk::default() },
            ),
            (
                json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model": "m"}),
                Chunk {
                    usage: Some(Usage { input: 3, output: 4 }),
                    model: Some("m".into()),
                    ..Chunk::default()
                },
            ),
            (
                json!({"choices": [{"delta": {}, "usage": {"prompt_tokens": 3}}], "usage": null, "error": null}),
                Chunk { usage: Some(Usage { input: 3, output: 0 }), ..Chunk::default() },
            ),
            (json!({"choices": []}), Chunk::default()),
            (json!([1]), Chunk::default()),
            (json!("x"), Chunk::default()),
            (Value::Null, Chunk::default()),
        ] {
            assert_eq!(Chunk::read(&document), expected, "{document}");
        }
    }

    #[test]
    fn ends_have_one_meaning() {
        let end = |word: &str| Chunk::read(&json!({"choices": [{"delta": {}, "finish_reason": word}]})).end;
        let finished = |finish| Some(End::Finished(finish));
        for (word, expected) in [
            ("stop", finished(Finish::Complete)),
            ("length", finished(Finish::Length)),
            ("content_filter", finished(Finish::Filtered)),
            ("sensitive", finished(Finish::Filtered)),
            ("tool_calls", finished(Finish::Other("tool_calls".into()))),
            ("network_error", Some(End::Failed("network_error".into()))),
            ("error", Some(End::Failed("error".into()))),
            ("", None),
        ] {
            assert_eq!(end(word), expected, "{word}");
        }
    }

    #[test]
    fn errors_are_told_from_chunks() {
        for (document, expected) in [
            (json!({"error": {"message": "x", "code": 502}, "choices": [{"finish_reason": "error"}]}), true),
            (json!({"error": "x"}), true),
            (json!({"object": "error", "message": "x"}), true),
            (json!({"code": "1302", "message": "x"}), true),
            (json!({"error": null, "choices": []}), false),
            (json!({"code": 1, "message": "x", "choices": []}), false),
            (json!({"prompt_filter_results": []}), false),
        ] {
            assert_eq!(Chunk::read(&document).error.is_some(), expected, "{document}");
        }
    }
}
