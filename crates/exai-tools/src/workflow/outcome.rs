//! What came of asking a model.

use serde_json::{Map, Value, json};

use super::spec::Spec;
use crate::explain::Explain;
use crate::models::request::{Finish, ModelAnswer};

/// What came of asking a model.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpertOutcome {
    /// It has answered.
    Answered(ModelAnswer),
    /// There is no answer.
    Failed(ExpertFailure),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpertFailure {
    /// [`Explain::code`].
    pub code: String,
    /// What failed and why.
    pub message: String,
    /// [`Explain::hint`].
    pub hint: Option<String>,
}

impl From<&dyn Explain> for ExpertFailure {
    fn from(error: &dyn Explain) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string(), hint: error.hint() }
    }
}

impl ExpertFailure {
    /// `error` of an answer.
    pub(super) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        error
    }
}

/// `metadata` of an answer that a model has given.
pub(super) fn metadata(spec: &Spec, answer: &ModelAnswer) -> Value {
    let finish = match &answer.finish {
        Finish::Complete => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
        Finish::Other(reason) => reason,
    };
    let mut metadata = json!({
        "tool_name": spec.name,
        "model_used": answer.model,
        "provider_used": answer.provider,
        "finish_reason": finish,
        "truncated": is_truncated(answer),
        "elapsed_ms": u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(usage) = answer.usage {
        metadata["usage"] = json!({ "input_tokens": usage.input, "output_tokens": usage.output });
    }
    metadata
}

/// Whether the end of the answer is missing.
pub(super) fn is_truncated(answer: &ModelAnswer) -> bool {
    matches!(answer.finish, Finish::Length | Finish::Filtered)
}

/// What a truncated answer has to say.
pub(super) const TRUNCATED: &str = "The model's answer is cut off at its end. Ask for less at once, or continue the thread and ask for the rest.";

/// The JSON object that a model's answer is, be it between the marks of a code block.
pub(super) fn object(text: &str) -> Option<Map<String, Value>> {
    let text = text.trim();
    let inside = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"))
        .and_then(|rest| rest.strip_suffix("```"))
        .unwrap_or(text);
    serde_json::from_str(inside.trim()).ok()
}

/// The status with which a model says that it cannot answer yet; it becomes the status of the answer.
pub(super) fn special_status(object: &Map<String, Value>) -> Option<&'static str> {
    let status = object.get("status")?.as_str()?;
    ["files_required_to_continue", "investigation_paused", "refactoring_paused"]
        .into_iter()
        .find(|special| *special == status)
}

/// What the agent has to do when a model cannot answer yet.
pub(super) fn way_out(status: &str) -> &'static str {
    if status == "files_required_to_continue" {
        "The expert needs more files. Call the tool again in this thread, with them as absolute paths."
    } else {
        "The expert cannot go on yet. Find out what it asks for, then call the tool again in this thread."
    }
}
