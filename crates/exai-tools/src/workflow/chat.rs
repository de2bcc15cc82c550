//! Chat: one question, one answer.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::expert_request::{ExpertRequest, Part};
use super::outcome::{ExpertOutcome, TRUNCATED, is_truncated, metadata, object, special_status, way_out};
use super::spec::Spec;

/// How the conversation can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinuationOffer {
    /// The thread.
    pub continuation_id: String,
    /// How many more turns the thread may have.
    pub remaining_turns: u64,
}

/// What the model is asked.
pub fn chat_request(spec: &Spec, arguments: &Arguments) -> ExpertRequest {
    let owned = |field: &str| arguments.texts(field).map(str::to_owned).collect();
    ExpertRequest {
        system: spec.system.clone(),
        parts: vec![Part {
            title: String::new(),
            text: arguments.text("prompt").unwrap_or_default().to_owned(),
        }],
        files: owned("files"),
        images: owned("images"),
        thinking: arguments.thinking().or(spec.default_thinking()),
        temperature: arguments.real("temperature"),
        model: arguments.text("model").map(str::to_owned),
    }
}

/// The answer, with the offer to go on if there is a thread. Its status is `error` if the model has not answered.
pub fn chat_answer(spec: &Spec, outcome: &ExpertOutcome, offer: Option<&ContinuationOffer>) -> Value {
    let mut answer = match outcome {
        ExpertOutcome::Failed(failure) => json!({
            "status": "error",
            "content": failure.message,
            "content_type": "text",
            "error": failure.to_json(),
            "metadata": { "tool_name": spec.name },
        }),
        ExpertOutcome::Answered(model) => {
            let special = object(&model.text).as_ref().and_then(special_status);
            let usual = if offer.is_some() { "continuation_available" } else { "success" };
            let mut answer = json!({
                "status": special.unwrap_or(usual),
                "content": model.text,
                "content_type": if special.is_some() { "json" } else { "markdown" },
                "metadata": metadata(spec, model),
            });
            if let Some(status) = special {
                answer["next_steps"] = way_out(status).into();
            }
            if is_truncated(model) {
                answer["warnings"] = json!([TRUNCATED]);
            }
            answer
        }
    };
    if let Some(offer) = offer {
        answer["continuation_id"] = offer.continuation_id.as_str().into();
        answer["continuation_offer"] = json!({
            "continuation_id": offer.continuation_id,
            "note": format!(
                "To go on with this conversation, pass this continuation_id; it works with every tool, and {} more turns \
                 are possible.",
                offer.remaining_turns
            ),
            "remaining_turns": offer.remaining_turns,
        });
    }
    answer
}
