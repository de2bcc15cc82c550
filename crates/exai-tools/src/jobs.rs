//! Calls of models that are under way in this process. A job outlives the request that began it: a client may fetch the
//! rest with another request, and so may another client.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outcome::Outcome;

/// How often a client is told how far a job has come.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// How far a job has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether a model was asked: from then on somebody may have to pay.
    pub(crate) has_asked: bool,
    /// How many characters have come, thoughts included. It never falls.
    pub(crate) chars: usize,
    /// Which model they come from.
    pub(crate) model: String,
    /// Since the model was asked.
    pub(crate) elapsed: Duration,
    /// The answer as far as it has come.
    pub(crate) partial: String,
}

impl Progress {
    /// One line for a person.
    pub(crate) fn message(&self) -> String {
        format!("{}: {} characters, {} s", self.model, self.chars, self.elapsed.as_secs())
    }
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct Job {
    reference: String,
    progress: watch::Receiver<Progress>,
    outcome: watch::Receiver<Option<Outcome>>,
    cancel: CancellationToken,
    /// How many requests wait for it.
    waiting: AtomicUsize,
}

/// How a wait for a job has ended.
#[derive(Debug)]
pub(crate) enum Waited {
    /// The job is done.
    Done(Outcome),
    /// The client would give up soon. The job goes on.
    StillRunning(Progress),
    /// The client has cancelled its request. If nobody else waits, the job stops.
    Cancelled,
}

/// The jobs of this process, by reference.
#[derive(Debug, Default, Clone)]
pub(crate) struct Jobs {
    running: Arc<Mutex<HashMap<String, Arc<Job>>>>,
    tasks: TaskTracker,
    /// What nobody waits for at the end.
    asides: TaskTracker,
    /// Stops all of them, also those that begin afterwards.
    stopped: CancellationToken,
}

impl Jobs {
    pub(crate) fn find(&self, reference: &str) -> Option<Arc<Job>> {
        self.locked().get(reference).cloned()
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Arc<Job>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a job. `work` gets the token by which it is cancelled and the place where it says how far it has come; what
    /// it answers when it was cancelled reaches nobody who has cancelled.
    pub(crate) fn start<W, F>(&self, reference: &str, work: W) -> Arc<Job>
    where
        W: FnOnce(CancellationToken, watch::Sender<Progress>) -> F,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (outcome_sender, outcome) = watch::channel(None);
        let cancel = self.stopped.child_token();
        let job = Arc::new(Job {
            reference: reference.to_owned(),
            progress,
            outcome,
            cancel: cancel.clone(),
            waiting: AtomicUsize::new(0),
        });
        self.locked().insert(reference.to_owned(), job.clone());
        let work = work(cancel, progress_sender);
        let entry = Entry { jobs: self.clone(), reference: reference.to_owned() };
        self.tasks.spawn(async move {
            let done = work.await;
            drop(entry);
            outcome_sender.send_replace(Some(done));
        });
        job
    }

    /// Does something beside the jobs; it is dropped when the server ends.
    pub(crate) fn spawn_aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.asides.spawn(work);
    }

    /// Who cancels this stops all jobs.
    pub(crate) fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    /// Stops all jobs and waits until they have ended.
    pub(crate) async fn stop_all(&self) {
        self.stopped.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Job {
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    /// Waits until the job is done, for at most `patience`. The first characters are told to `tell` at once, and then how
    /// many there are, once a second.
    pub(crate) async fn wait<T, F>(
        &self,
        patience: Duration,
        cancelled: &CancellationToken,
        mut tell: T,
    ) -> Waited
    where
        T: FnMut(usize, String) -> F,
        F: Future<Output = ()>,
    {
        let _counted = Waiting::count(self);
        let deadline = tokio::time::sleep(patience);
        tokio::pin!(deadline);
        let (mut progress, mut outcome) = (self.progress.clone(), self.outcome.clone());
        let mut due = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                done = outcome_in(&mut outcome) => {
                    // Without an outcome the task has panicked. A new call can be made.
                    return done.map_or(Waited::Cancelled, Waited::Done);
                }
                () = cancelled.cancelled() => {
                    if self.waiting.load(Ordering::Relaxed) == 1 {
                        self.cancel.cancel();
                    }
                    return Waited::Cancelled;
                }
                () = &mut deadline => return Waited::StillRunning(self.progress.borrow().clone()),
                // After the last progress the outcome follows.
                Ok(()) = until_due(&mut progress, due) => {
                    let (chars, message) = {
                        let now = progress.borrow_and_update();
                        (now.chars, now.message())
                    };
                    due = tokio::time::Instant::now() + TELL_INTERVAL;
                    tell(chars, message).await;
                }
            }
        }
    }
}

async fn outcome_in(outcome: &mut watch::Receiver<Option<Outcome>>) -> Option<Outcome> {
    outcome.wait_for(Option::is_some).await.ok().and_then(|done| done.clone())
}

/// Waits until it is time to tell and there is something new.
async fn until_due(
    progress: &mut watch::Receiver<Progress>,
    due: tokio::time::Instant,
) -> Result<(), watch::error::RecvError> {
    tokio::time::sleep_until(due).await;
    progress.changed().await
}

/// The place of a job among the jobs, until the job ends, in whatever way.
struct Entry {
    jobs: Jobs,
    reference: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.jobs.locked().remove(&self.reference);
    }
}

/// Counts a request among those that wait for a job, until it is dropped.
struct Waiting<'a>(&'a Job);

impl Waiting<'_> {
    fn count(job: &Job) -> Waiting<'_> {
        job.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(job)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quiet(_: usize, _: String) -> std::future::Ready<()> {
        std::future::ready(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_outlives_the_request_that_began_it() {
        let jobs = Jobs::default();
        let job = jobs.start("r", |_, _| async {
            tokio::time::sleep(Duration::from_secs(90)).await;
            Outcome::success(json!({"status": "success"}))
        });
        let never = CancellationToken::new();
        let first = job.wait(Duration::from_secs(50), &never, quiet).await;
        assert!(matches!(first, Waited::StillRunning(_)));
        let found = jobs.find("r").expect("still there");
        let second = found.wait(Duration::from_secs(50), &never, quiet).await;
        assert!(matches!(second, Waited::Done(outcome) if outcome.body["status"] == "success"));
        assert!(jobs.find("r").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_that_cancels_stops_the_job() {
        let jobs = Jobs::default();
        let job = jobs.start("r", |cancel, _| async move {
            cancel.cancelled().await;
            Outcome::success(json!({"status": "stopped"}))
        });
        let (one, two) = (CancellationToken::new(), CancellationToken::new());
        let patience = Duration::from_mins(5);
        let waits = async { tokio::join!(job.wait(patience, &one, quiet), job.wait(patience, &two, quiet)) };
        let cancels = async {
            one.cancel();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!job.cancel.is_cancelled(), "somebody still waits");
            two.cancel();
        };
        let (waited, ()) = tokio::join!(waits, cancels);
        assert!(matches!(waited, (Waited::Cancelled, Waited::Cancelled)));
        assert!(job.cancel.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_progress_is_told_at_once_and_then_one_each_second() {
        let jobs = Jobs::default();
        let job = jobs.start("r", |_, progress| async move {
            for _ in 0..30 {
                progress.send_modify(|now| now.chars += 1);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Outcome::success(json!({}))
        });
        let begun = tokio::time::Instant::now();
        let told = Mutex::new(Vec::new());
        let tell = |chars, _| {
            told.lock().expect("no panic").push((chars, begun.elapsed().as_millis()));
            std::future::ready(())
        };
        job.wait(Duration::from_mins(1), &CancellationToken::new(), tell).await;
        let told = told.into_inner().expect("no panic");
        assert_eq!(told[0], (1, 0));
        assert!(told.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 1000), "{told:?}");
        assert!((3..=4).contains(&told.len()), "{told:?}");
    }
}
