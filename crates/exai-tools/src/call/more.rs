//! The rest of a call that was answered `running`: for the same client or for another, in the same process or in another.

use std::time::Duration;

use serde_json::Value;

use super::context::{Call, CallError};
use super::heard::heard;
use super::work::{self, Stopped};
use crate::jobs::Progress;
use crate::outcome::Outcome;
use crate::threads::CallState;
use crate::workflow::Arguments;

/// How long one look into the database waits at most: a request that is cancelled meanwhile is forgotten after that.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let arguments = Arguments::parse(call.spec, &call.given)?;
    follow(call, arguments.text("reference").unwrap_or_default()).await
}

/// Waits for a call that was begun, as long as the client does.
pub(super) async fn follow(call: &Call, reference: &str) -> Result<Outcome, CallError> {
    let deadline = tokio::time::Instant::now() + call.patience();
    let mut lost = false;
    loop {
        if let Some(job) = call.shared.jobs.find(reference) {
            return Ok(call.wait(&job).await);
        }
        let name = reference.to_owned();
        let timeout = LOOK_TIMEOUT.min(deadline.saturating_duration_since(tokio::time::Instant::now()));
        let found = call.shared.with_threads(move |threads| threads.wait_call(&name, timeout)).await?;
        match found.state {
            CallState::Done { result } => {
                return Ok(heard(&call.shared, reference.to_owned(), Outcome::success(result)));
            }
            CallState::Failed { result } => {
                return Ok(heard(&call.shared, reference.to_owned(), Outcome::error(result)));
            }
            CallState::Interrupted { partial } => return Ok(work::interrupted(partial, &found.thread)),
            CallState::Cancelled { partial } => return Ok(Outcome::failure(&Stopped).with_partial(&partial)),
            // The look before has found no job either: its task has panicked.
            CallState::Running { here: true, .. } if lost => {
                let (name, failure) = (reference.to_owned(), Outcome::failure(&Stopped));
                let result = Value::Object(failure.body.clone());
                call.shared.with_threads(move |threads| threads.fail_call(&name, &result, 1)).await?;
                return Ok(failure);
            }
            CallState::Running { partial, here } => {
                lost = here;
                if call.context.ct.is_cancelled() || tokio::time::Instant::now() >= deadline {
                    let progress =
                        Progress { chars: partial.chars().count(), partial, ..Progress::default() };
                    return Ok(work::running(reference, &progress));
                }
            }
        }
    }
}
