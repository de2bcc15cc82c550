//! Each call is made once, whoever asks for it and whatever dies on the way: a call has a key, and who makes the same
//! call again gets the same answer.

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::context::{Call, CallError};
use super::heard::heard;
use super::work::{Stopped, Worked, interrupted};
use crate::jobs::Progress;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::threads::{CallKey, CallStart, Finished, NewCall, NewThread, Thread, ThreadError, ThreadStore};

/// How often the answer as far as it has come is saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// Which call it is.
#[derive(Debug, Clone)]
pub(super) struct Once {
    /// The id of the thread that keeps it.
    pub(super) thread: String,
    /// Whether the thread begins with this call.
    is_new: bool,
    key: CallKey,
    asks: u32,
    repeatable: bool,
}

impl Once {
    /// The call that these arguments mean, in the thread that is continued, or else in one that begins with `request`.
    /// `step` is given for tools that have steps: a step is never meant anew.
    pub(super) async fn of(
        call: &Call,
        continued: Option<&Thread>,
        step: Option<u64>,
        arguments: &Map<String, Value>,
        request: &str,
    ) -> Result<Once, CallError> {
        let step_number = step.and_then(|number| u32::try_from(number).ok());
        let key = CallKey::of(&call.spec.name, step_number, arguments);
        let (thread, is_new) = match continued {
            Some(thread) => (thread.facts.id.clone(), false),
            None => begin_thread(call, &key, request).await?,
        };
        Ok(Once { thread, is_new, key, asks: 0, repeatable: step.is_none() })
    }

    /// The same call, which asks so many models.
    pub(super) fn asking(self, models: usize) -> Once {
        Once { asks: u32::try_from(models).unwrap_or(u32::MAX), ..self }
    }

    async fn begin(&self, call: &Call) -> Result<CallStart, ThreadError> {
        let once = self.clone();
        let (tool, max_paid) = (call.spec.name.as_str(), call.config.ai.max_paid_calls);
        let pay_again = call.given.get("pay_again").is_some_and(|value| *value == true || *value == "true");
        let begin = move |threads: &ThreadStore| {
            threads.begin_call(&NewCall {
                thread: &once.thread,
                key: &once.key,
                tool,
                asks: once.asks,
                max_paid,
                pay_again,
                repeatable: once.repeatable,
            })
        };
        call.shared.with_threads(begin).await
    }
}

/// The thread that this client has begun with the same call without hearing the answer; or a new one, and that it is new.
async fn begin_thread(call: &Call, key: &CallKey, request: &str) -> Result<(String, bool), CallError> {
    let (tool, keep) = (call.spec.name.as_str(), call.config.ai.keep_threads);
    let (key, request) = (key.clone(), request.to_owned());
    let client = call.client.shown_name().map(str::to_owned);
    let begin = move |threads: &ThreadStore| {
        if let Some(id) = threads.find_unheard_thread(&key, client.as_deref())? {
            return Ok((id, false));
        }
        let new = NewThread { tool, request: &request, client: client.as_deref() };
        Ok((threads.create_thread(&new, keep)?.id, true))
    };
    Ok(call.shared.with_threads(begin).await?)
}

/// Answers a call: from memory if the same call was answered before; with the answer that somebody else waits for; or by
/// doing `work`, which goes on when the client does not wait for it any more.
pub(super) async fn make<W, F>(call: &Call, once: &Once, work: W) -> Result<Outcome, CallError>
where
    W: FnOnce(watch::Sender<Progress>) -> F,
    F: Future<Output = Worked> + Send + 'static,
{
    match once.begin(call).await? {
        CallStart::Done { result, reference } => Ok(heard(&call.shared, reference, Outcome::success(result))),
        CallStart::Failed { result, .. } => Ok(Outcome::error(result)),
        CallStart::Running { reference, .. } => super::more::follow(call, &reference).await,
        CallStart::Interrupted { partial, .. } => Ok(interrupted(partial, &once.thread)),
        CallStart::New { reference } => {
            let (shared, kept, once) = (call.shared.clone(), reference.clone(), once.clone());
            let job = call.shared.jobs.start(&reference, |cancel, progress| {
                let seen = progress.subscribe();
                let work = work(progress);
                async move {
                    let worked = tokio::select! {
                        worked = work => Ok(worked),
                        () = cancel.cancelled() => Err(seen.borrow().clone()),
                        never = save_partials(&shared, &kept, seen.clone()) => match never {},
                    };
                    keep(&shared, kept, worked, &once).await
                }
            });
            Ok(call.wait(&job).await)
        }
    }
}

/// Saves the answer as far as it has come, again and again: it is not lost when the process is killed.
async fn save_partials(
    shared: &Shared,
    reference: &str,
    progress: watch::Receiver<Progress>,
) -> std::convert::Infallible {
    let mut saved = 0;
    loop {
        tokio::time::sleep(SAVE_INTERVAL).await;
        let partial = progress.borrow().partial.clone();
        if partial.len() == saved {
            continue;
        }
        saved = partial.len();
        let reference = reference.to_owned();
        // The next one may succeed, and the end of the call says what is wrong.
        let _ = shared.with_threads(move |threads| threads.note_partial(&reference, &partial)).await;
    }
}

/// Keeps what came of a call; the error is how far it had come when it was cancelled.
async fn keep(shared: &Shared, reference: String, worked: Result<Worked, Progress>, once: &Once) -> Outcome {
    let (outcome, kept) = match worked {
        Err(progress) => {
            let paid = if progress.has_asked { once.asks } else { 0 };
            let cancel =
                move |threads: &ThreadStore| threads.cancel_call(&reference, &progress.partial, paid);
            (Outcome::failure(&Stopped), shared.with_threads(cancel).await)
        }
        // Nothing was said and nothing paid, and nobody is told of the thread.
        Ok(Worked { outcome, paid: 0, .. })
            if outcome.is_error && once.is_new && !outcome.body.contains_key("continuation_id") =>
        {
            let thread = [once.thread.clone()];
            (outcome, shared.with_threads(move |threads| threads.remove_threads(&thread).map(drop)).await)
        }
        Ok(Worked { outcome, paid, .. }) if outcome.is_error => {
            let result = Value::Object(outcome.body.clone());
            let fail = move |threads: &ThreadStore| threads.fail_call(&reference, &result, paid);
            (outcome, shared.with_threads(fail).await)
        }
        Ok(Worked { outcome, turns, paid }) => {
            let result = Value::Object(outcome.body.clone());
            let finish = move |threads: &ThreadStore| {
                threads.finish_call(&reference, &Finished { result: &result, paid, turns: &turns })
            };
            (outcome, shared.with_threads(finish).await)
        }
    };
    match kept {
        Ok(()) => outcome,
        // An answer that was paid for reaches its client, also if it cannot be kept.
        Err(error) => {
            tracing::warn!(%error, "an answer is not kept");
            outcome.with_warning(&format!("This answer is not kept in the thread: {error}"))
        }
    }
}
