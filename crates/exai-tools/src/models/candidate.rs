//! A model that can be asked.

use std::sync::Arc;

use exai_config::Provider;
use exai_config::provider::Credentials;

/// Who can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// The MCP client, by sampling.
    Client,
    /// A model of a provider.
    Provider(ProviderModel),
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderModel {
    /// The provider, as `config.toml` has it.
    pub provider: Arc<Provider>,
    /// Its key and headers, or why they are not known.
    pub credentials: Result<Credentials, String>,
    /// The model.
    pub model: KnownModel,
}

impl ProviderModel {
    /// The name by which exactly this model is chosen: PROVIDER/ID.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider.name, self.model.id)
    }
}

/// What is known of a model, from `config.toml` and from the list of its endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownModel {
    /// What the provider calls it.
    pub id: String,
    /// How many tokens a request and its answer may have together.
    pub context: Option<u64>,
    /// How many tokens an answer may have.
    pub max_output: Option<u64>,
    /// Whether it understands images.
    pub vision: Option<bool>,
    /// Whether it can be told how much to think.
    pub thinking: Option<bool>,
    /// Whether it is in memory, for endpoints of this machine that tell it.
    pub is_loaded: Option<bool>,
    /// Whether it makes something else than texts: embeddings, images, speech.
    pub is_other_kind: bool,
}

impl KnownModel {
    /// A model of which nothing but the id is known.
    pub fn new(id: &str) -> Self {
        KnownModel { id: id.to_owned(), is_other_kind: names_other_kind(id), ..KnownModel::default() }
    }

    /// Fills in from `other` what is not known here.
    #[must_use]
    pub fn or(self, other: &KnownModel) -> Self {
        KnownModel {
            context: self.context.or(other.context),
            max_output: self.max_output.or(other.max_output),
            vision: self.vision.or(other.vision),
            thinking: self.thinking.or(other.thinking),
            is_loaded: self.is_loaded.or(other.is_loaded),
            is_other_kind: self.is_other_kind || other.is_other_kind,
            ..self
        }
    }
}

/// Whether the id is that of a model that makes something else than texts. Lists seldom tell it in another way.
fn names_other_kind(id: &str) -> bool {
    const PARTS: [&str; 20] = [
        "embed",
        "bge-",
        "minilm",
        "gte-",
        "e5-",
        "rerank",
        "whisper",
        "tts",
        "transcribe",
        "speech",
        "dall-e",
        "image",
        "sora",
        "moderation",
        "realtime",
        "audio",
        "davinci",
        "babbage",
        "cogview",
        "cogvideo",
    ];
    let id = id.to_ascii_lowercase();
    let name = id.rsplit('/').next().unwrap_or_default();
    PARTS.iter().any(|part| {
        name.match_indices(part).any(|(at, _)| at == 0 || !name.as_bytes()[at - 1].is_ascii_alphanumeric())
    }) || name.contains("embed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_make_something_else_are_recognised() {
        for (id, expected) in [
            ("text-embedding-3-large", true),
            ("text-embedding-nomic-embed-text-v1.5", true),
            ("nomic-embed-text:latest", true),
            ("mxbai-embed-large", true),
            ("BAAI/bge-m3", true),
            ("all-minilm:33m", true),
            ("intfloat/e5-mistral", true),
            ("gpt-4o-mini-tts", true),
            ("gpt-image-1", true),
            ("whisper-1", true),
            ("glm-5", false),
            ("kimi-k3", false),
            ("gpt-4o-mini", false),
            ("qwen3:8b", false),
            ("deepseek-chat", false),
            ("google/gemma-3-27b-it", false),
        ] {
            assert_eq!(names_other_kind(id), expected, "{id}");
        }
    }
}
