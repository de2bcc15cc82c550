//! The answers to a call that no model can take.

use serde_json::{Value, json};

use super::spec::Spec;

/// The answer to a call whose files do not fit. `files` is their number, `tokens` about how long they are, `limit` how
/// long they may be for `model`.
pub fn code_too_large(spec: &Spec, model: &str, files: usize, tokens: usize, limit: usize) -> Value {
    json!({
        "status": "code_too_large",
        "content": format!(
            "The {files} files have about {tokens} tokens, and {model} has room for {limit}. Name fewer or smaller \
             files, or choose a model with a larger context (listmodels), and call {} again.",
            spec.name
        ),
        "content_type": "text",
        "metadata": {
            "tool_name": spec.name,
            "model": model,
            "file_count": files,
            "file_tokens": tokens,
            "limit_tokens": limit,
        },
    })
}

/// The answer to a call whose text does not fit. `chars` is how long it is, `limit` how long it may be.
pub fn resend_prompt(spec: &Spec, chars: usize, limit: usize) -> Value {
    json!({
        "status": "resend_prompt",
        "content": format!(
            "The text has {chars} characters, and may have {limit}. Save it as prompt.txt in the project, and call {} \
             again with a short text and the absolute path of this file{}.",
            spec.name,
            match spec.field("relevant_files") {
                Some(_) => " in relevant_files",
                None => " in files",
            }
        ),
        "content_type": "text",
        "metadata": { "tool_name": spec.name, "prompt_chars": chars, "limit_chars": limit },
    })
}
