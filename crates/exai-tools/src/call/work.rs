//! What a call comes to.

use serde_json::json;

use crate::explain::Explain;
use crate::jobs::Progress;
use crate::outcome::Outcome;
use crate::threads::NewTurn;

/// What came of a call.
#[derive(Debug)]
pub(super) struct Worked {
    /// The answer for the client.
    pub(super) outcome: Outcome,
    /// What the thread keeps of it, if it is a success.
    pub(super) turns: Vec<NewTurn>,
    /// How many models somebody may have to pay for.
    pub(super) paid: u32,
}

impl Worked {
    /// A call that asks no model, or has failed before one was asked.
    pub(super) fn unpaid(outcome: Outcome, turns: Vec<NewTurn>) -> Worked {
        Worked { outcome, turns, paid: 0 }
    }
}

/// The answer for a client that would give up soon: the call goes on, and this is how to get the rest.
pub(super) fn running(reference: &str, progress: &Progress) -> Outcome {
    Outcome::success(json!({
        "status": "running",
        "reference": reference,
        "progress": progress.message(),
        "partial": progress.partial,
        "next_steps": "The call goes on. Call `more` with this reference to wait for the rest; nothing is asked or paid \
                       twice.",
    }))
}

/// The call was cancelled.
#[derive(Debug, thiserror::Error)]
#[error("the call was cancelled; the model was stopped")]
pub(super) struct Stopped;

impl Explain for Stopped {
    fn code(&self) -> &'static str {
        "cancelled"
    }

    fn hint(&self) -> Option<String> {
        Some(
            "Send the same call with pay_again: true to ask again; the model may have to be paid for both."
                .into(),
        )
    }
}

/// The answer to a call that was made before and has brought no answer, with what has come of it.
pub(super) fn interrupted(partial: String, thread: &str) -> Outcome {
    let error = Interrupted { partial };
    Outcome::failure(&error).with("continuation_id", thread).with_partial(&error.partial)
}

/// The call was made before, and ended without an answer although it may have been paid for.
#[derive(Debug, thiserror::Error)]
#[error("this call was made before, and its model was stopped before the answer was complete; {}", kept(.partial))]
struct Interrupted {
    partial: String,
}

fn kept(partial: &str) -> String {
    match partial.chars().count() {
        0 => "nothing of the answer was kept".to_owned(),
        chars => format!("{chars} characters of the answer were kept (`partial`)"),
    }
}

impl Explain for Interrupted {
    fn code(&self) -> &'static str {
        "interrupted"
    }

    fn hint(&self) -> Option<String> {
        Some("Send the same call with pay_again: true to ask the model again; it may have to be paid twice then.".into())
    }
}

/// A fault of exai ended the call.
#[derive(Debug, thiserror::Error)]
#[error("the call was ended by a fault of exai; what it has cost is not known")]
pub(crate) struct Broken;

impl Explain for Broken {
    fn code(&self) -> &'static str {
        "internal"
    }

    fn hint(&self) -> Option<String> {
        Some("Please report it; `exai logs ai` has what the tools server has said.".into())
    }
}
