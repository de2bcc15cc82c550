//! When an answer counts as heard: the same call is a new one then.

use std::sync::Arc;
use std::time::Duration;

use super::work::Stopped;
use crate::explain::Explain as _;
use crate::outcome::Outcome;
use crate::shared::Shared;

/// An answer counts as heard so long after it was given: had the daemon died with it on the way, this process would have
/// been ended within a second.
const HEARD_AFTER: Duration = Duration::from_secs(3);

/// The answer, which counts as heard after a while.
pub(super) fn heard(shared: &Arc<Shared>, reference: String, outcome: Outcome) -> Outcome {
    // Who has cancelled has not heard how the call ended: the same call again is not a new one.
    let is_cancelled = outcome.body.get("error").is_some_and(|error| error["code"] == Stopped.code());
    if !is_cancelled {
        let kept = shared.clone();
        shared.jobs.spawn_aside(async move {
            tokio::time::sleep(HEARD_AFTER).await;
            // If this fails, the answer is given once more when the same is asked again.
            let _ = kept.with_threads(move |threads| threads.note_told(&reference)).await;
        });
    }
    outcome
}
