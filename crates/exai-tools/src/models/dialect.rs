//! How the OpenAI-compatible endpoints differ, as data. What a provider's `omit`, `rename` and `extra_body` say comes on
//! top (`body.rs`).
//!
//! Sources:
//! - OpenAI: <https://platform.openai.com/docs/api-reference/chat/create>
//! - GLM: <https://docs.z.ai/api-reference/llm/chat-completion>
//! - Kimi: <https://platform.moonshot.ai/docs/api/chat>, <https://platform.kimi.ai/docs/api/models-overview>
//! - OpenRouter: <https://openrouter.ai/docs/use-cases/reasoning-tokens>
//! - Ollama: <https://docs.ollama.com/api/openai-compatibility>
//! - LM Studio: <https://lmstudio.ai/docs/app/api/endpoints/openai>
//! - vLLM: <https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>
//! - llama.cpp: <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>
//! - DeepSeek: <https://api-docs.deepseek.com/api/create-chat-completion>

use exai_config::Dialect;
use serde_json::{Value, json};

use super::request::Thinking;

/// What a request to a model of a dialect must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// How it is told how much to think.
    pub thinking: ThinkingMember,
    /// The member for the most tokens of output.
    pub max_output: &'static str,
    /// Whether `stream_options` asks for the usage. Where it does not, the usage comes by itself.
    pub has_stream_options: bool,
    /// Whether the temperature is fixed: the member is left out, since it is refused.
    pub has_fixed_sampling: bool,
}

/// How a model is told how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingMember {
    /// Not at all: a member for it is unknown, or an error for models that do not think.
    None,
    /// `thinking: {type: "enabled" | "disabled"}`.
    Switch,
    /// `reasoning_effort`, with the word for minimal, low, medium, high and max.
    Effort([&'static str; 5]),
    /// `reasoning: {effort}`, with the same words.
    ReasoningEffort([&'static str; 5]),
    /// `chat_template_kwargs: {enable_thinking: true | false}`, which templates without a switch ignore.
    Template,
}

/// A row of the table: the dialect, the beginnings of the ids that the row is for (none: all others), and the quirks.
type Row = (Dialect, &'static [&'static str], Quirks);

const USUAL: Quirks = Quirks {
    thinking: ThinkingMember::None,
    max_output: "max_tokens",
    has_stream_options: true,
    has_fixed_sampling: false,
};

/// The first row that fits holds.
const ROWS: &[Row] = &[
    (
        Dialect::OpenAi,
        &["o1", "o3", "o4", "gpt-5", "gpt-6"],
        Quirks {
            thinking: ThinkingMember::USUAL_EFFORT,
            max_output: "max_completion_tokens",
            has_fixed_sampling: true,
            ..USUAL
        },
    ),
    // An unknown endpoint has this dialect, too, and may know `max_tokens` alone.
    (Dialect::OpenAi, &[], USUAL),
    // Refuses `stream_options`; the usage is in the last chunk.
    (Dialect::Glm, &[], Quirks { thinking: ThinkingMember::Switch, has_stream_options: false, ..USUAL }),
    (
        Dialect::Kimi,
        &["kimi-k3"],
        Quirks {
            thinking: ThinkingMember::Effort(["low", "low", "high", "high", "max"]),
            max_output: "max_completion_tokens",
            has_fixed_sampling: true,
            ..USUAL
        },
    ),
    (
        Dialect::Kimi,
        &["kimi-k2.5", "kimi-k2.6"],
        Quirks {
            thinking: ThinkingMember::Switch,
            max_output: "max_completion_tokens",
            has_fixed_sampling: true,
            ..USUAL
        },
    ),
    // Others think always (kimi-k2.7-code, where the switch is an error) or never.
    (Dialect::Kimi, &[], Quirks { max_output: "max_completion_tokens", has_fixed_sampling: true, ..USUAL }),
    (
        Dialect::OpenRouter,
        &[],
        Quirks {
            thinking: ThinkingMember::ReasoningEffort(["minimal", "low", "medium", "high", "xhigh"]),
            ..USUAL
        },
    ),
    // Refuses an effort for models that do not think.
    (Dialect::Ollama, &[], USUAL),
    (Dialect::LmStudio, &[], USUAL),
    (Dialect::Vllm, &[], Quirks { thinking: ThinkingMember::Template, ..USUAL }),
    (Dialect::LlamaCpp, &[], Quirks { thinking: ThinkingMember::Template, ..USUAL }),
    // `deepseek-reasoner` always thinks.
    (Dialect::DeepSeek, &["deepseek-reasoner"], USUAL),
    (Dialect::DeepSeek, &[], Quirks { thinking: ThinkingMember::Switch, ..USUAL }),
];

impl Quirks {
    /// Those of a model.
    pub fn of(dialect: Dialect, model: &str) -> Quirks {
        let fits = |(of, beginnings, _): &&Row| {
            *of == dialect
                && (beginnings.is_empty() || beginnings.iter().any(|beginning| model.starts_with(beginning)))
        };
        ROWS.iter().find(fits).map_or(USUAL, |(_, _, quirks)| *quirks)
    }
}

impl ThinkingMember {
    /// The names of the least and the most differ from model to model; these three are known to all that have an effort.
    pub const USUAL_EFFORT: ThinkingMember = ThinkingMember::Effort(["low", "low", "medium", "high", "high"]);

    /// The member of the request, with its name.
    pub fn member(self, thinking: Thinking) -> Option<(&'static str, Value)> {
        let is_on = thinking != Thinking::Minimal;
        Some(match self {
            ThinkingMember::None => return None,
            ThinkingMember::Switch => {
                ("thinking", json!({"type": if is_on { "enabled" } else { "disabled" }}))
            }
            ThinkingMember::Effort(words) => ("reasoning_effort", json!(words[position(thinking)])),
            ThinkingMember::ReasoningEffort(words) => {
                ("reasoning", json!({"effort": words[position(thinking)]}))
            }
            ThinkingMember::Template => ("chat_template_kwargs", json!({"enable_thinking": is_on})),
        })
    }
}

fn position(thinking: Thinking) -> usize {
    match thinking {
        Thinking::Minimal => 0,
        Thinking::Low => 1,
        Thinking::Medium => 2,
        Thinking::High => 3,
        Thinking::Max => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_a_row_for_all_other_models_and_it_is_the_last() {
        for dialect in Dialect::ALL {
            let rows: Vec<&Row> = ROWS.iter().filter(|row| row.0 == dialect).collect();
            let (last, before) = rows.split_last().unwrap();
            assert!(last.1.is_empty(), "{dialect:?}");
            assert!(before.iter().all(|row| !row.1.is_empty()), "{dialect:?}");
        }
    }

    #[test]
    fn thinking_is_asked_for_in_the_words_of_each_dialect() {
        use Thinking::{High, Low, Max, Medium, Minimal};
        for (dialect, model, thinking, expected) in [
            (Dialect::Glm, "glm-5", Minimal, Some(("thinking", json!({"type": "disabled"})))),
            (Dialect::Glm, "glm-5", Max, Some(("thinking", json!({"type": "enabled"})))),
            (Dialect::Kimi, "kimi-k3", Minimal, Some(("reasoning_effort", json!("low")))),
            (Dialect::Kimi, "kimi-k3.1-pro", Max, Some(("reasoning_effort", json!("max")))),
            (Dialect::Kimi, "kimi-k2.6", Minimal, Some(("thinking", json!({"type": "disabled"})))),
            (Dialect::Kimi, "kimi-k2.7-code", Minimal, None),
            (Dialect::OpenRouter, "z-ai/glm-5", Medium, Some(("reasoning", json!({"effort": "medium"})))),
            (Dialect::OpenAi, "gpt-5.4", High, Some(("reasoning_effort", json!("high")))),
            (Dialect::OpenAi, "gpt-4.1", High, None),
            (Dialect::DeepSeek, "deepseek-chat", Low, Some(("thinking", json!({"type": "enabled"})))),
            (Dialect::DeepSeek, "deepseek-reasoner", Low, None),
            (
                Dialect::Vllm,
                "qwen3",
                Minimal,
                Some(("chat_template_kwargs", json!({"enable_thinking": false}))),
            ),
            (
                Dialect::LlamaCpp,
                "qwen3",
                Low,
                Some(("chat_template_kwargs", json!({"enable_thinking": true}))),
            ),
            (Dialect::Ollama, "qwen3", High, None),
            (Dialect::LmStudio, "qwen3", High, None),
        ] {
            assert_eq!(Quirks::of(dialect, model).thinking.member(thinking), expected, "{dialect:?} {model}");
        }
    }
}
