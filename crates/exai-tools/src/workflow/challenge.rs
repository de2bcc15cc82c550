//! Challenge: the agent's own second thought.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::spec::Spec;

/// What the agent is told to think about.
const PROMPT: &str = include_str!("prompts/challenge.md");

/// The answer of `challenge`: the statement in a request to examine it. No model is asked.
pub fn challenge(spec: &Spec, arguments: &Arguments) -> Value {
    let statement = arguments.text("prompt").unwrap_or_default();
    let prompt = PROMPT.replace("\r\n", "\n").replacen("{prompt}", statement, 1);
    json!({
        "status": "success",
        "content": prompt.trim_end(),
        "content_type": "text",
        "instructions": "Follow this text now, before you answer the user.",
        "metadata": { "tool_name": spec.name },
    })
}
