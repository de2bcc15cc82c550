//! What endpoints of each dialect say, in the shapes of their documentation and of streams that were seen. The texts are
//! equal, so that tests can compare: the thoughts are [`THOUGHT`] where there are any, and the answer is [`ANSWER`].

use super::reply::Reply;
use super::seen::Seen;

/// What a dialect says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its name in `config.toml`.
    pub dialect: &'static str,
    /// The stream of a chat.
    pub stream: &'static str,
    /// The list of models.
    pub models: &'static str,
    /// The path and the document of further facts on the models, where there are any.
    pub details: Option<(&'static str, &'static str)>,
    /// Whether the stream has thoughts.
    pub has_thoughts: bool,
    /// The usage that the stream tells: input and output.
    pub usage: (u64, u64),
}

/// The answer in every recorded stream.
pub const ANSWER: &str = "The lock is taken twice — that is the bug.";
/// The thoughts in those that have some.
pub const THOUGHT: &str = "Two locks, one thread.";

macro_rules! recorded {
    ($dialect:literal, $has_thoughts:literal, $usage:expr, $details:expr) => {
        Recorded {
            dialect: $dialect,
            stream: include_str!(concat!("recorded/", $dialect, ".sse")),
            models: include_str!(concat!("recorded/", $dialect, ".models.json")),
            details: $details,
            has_thoughts: $has_thoughts,
            usage: $usage,
        }
    };
}

/// All nine dialects.
pub const ALL: [Recorded; 9] = [
    recorded!("openai", false, (21, 12), None),
    recorded!("glm", true, (23, 19), None),
    recorded!("kimi", true, (24, 20), None),
    recorded!("openrouter", true, (25, 21), None),
    recorded!("ollama", true, (26, 22), Some(("/api/ps", include_str!("recorded/ollama.ps.json")))),
    recorded!(
        "lmstudio",
        true,
        (27, 23),
        Some(("/api/v0/models", include_str!("recorded/lmstudio.v0.json")))
    ),
    recorded!("vllm", true, (28, 24), None),
    recorded!("llamacpp", true, (29, 25), None),
    recorded!("deepseek", true, (30, 26), None),
];

/// What the dialect of this name says.
///
/// # Panics
/// When there is no such dialect.
pub fn recorded(dialect: &str) -> Recorded {
    *ALL.iter().find(|recorded| recorded.dialect == dialect).expect("one of the nine dialects")
}

impl Recorded {
    /// What a request gets.
    pub fn reply(&self, seen: &Seen) -> Reply {
        match self.details {
            _ if seen.is_chat() => Reply::stream(self.stream),
            _ if seen.path == "/v1/models" => Reply::json(200, self.models),
            Some((path, document)) if seen.path == path => Reply::json(200, document),
            _ => Reply::json(404, r#"{"error":"Not Found"}"#),
        }
    }
}
