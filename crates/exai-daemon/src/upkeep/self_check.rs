//! Once a second the daemon checks whether it can still be found, and puts back what others removed.
//!
//! The check has a thread of its own, which works even while the runtime is jammed. It looks at the lock file, at the
//! socket's name, at `daemon.json` and at the token. It touches nothing that is not the daemon's, and never what another
//! program put in the place of the state directory. It also looks whether `config.toml` and `tokens.json` have changed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_os::local::{Endpoint, Listener};
use exai_os::lock::{self, Claim, HeldLock};
use exai_proto::link::ByeReason;
use tokio::sync::oneshot;

use crate::core::event::{HubEvent, HubHandle, Question};
use crate::front::listener::Listeners;
use crate::limits::{DRAIN_TIMEOUT, LAST_CHECK_TIMEOUT, RENEWED_LOCK_TIMEOUT};
use crate::state::config_file::{ConfigPoll, SETTLE_INTERVAL};
use crate::state::daemon_info::DaemonInfo;
use crate::state::logging;
use crate::state::record;
use crate::state::token;

/// How often to look.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How many checks the loop may leave without an answer before the log says so.
const MAX_UNANSWERED_CHECKS: u64 = 3;
/// For how many checks another process may hold the new lock file before it is taken for another daemon, if nothing else
/// proves that this daemon is the only one.
const MAX_CHECKS_WITHOUT_PROOF: u32 = 10;

/// What the check looks after.
pub(crate) struct Kept {
    pub(crate) home: Home,
    pub(crate) about: Arc<DaemonInfo>,
    pub(crate) lock: Arc<Mutex<HeldLock>>,
    /// While this name is held, no other daemon starts, whatever becomes of the lock file.
    pub(crate) claim: Arc<Claim>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) hub: HubHandle,
    /// The runtime that new sockets belong to.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct SelfCheck {
    stop: SyncSender<()>,
    ended: Receiver<()>,
}

impl SelfCheck {
    /// Starts it.
    pub(crate) fn start(kept: Kept) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        let mut checker = Checker {
            place: kept.home.path().canonicalize()?,
            lookout: ConfigPoll::new(&kept.about.config),
            kept,
            trouble: None,
            lost: 0,
            has_revoked: false,
            asked: 0,
            answered: Arc::new(AtomicU64::new(0)),
            silent: 0,
            jammed: false,
        };
        std::thread::Builder::new().name("self-check".to_owned()).stack_size(256 * 1024).spawn(
            move || {
                let (mut next, mut wait) = (Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                    if next <= Instant::now() {
                        checker.check();
                        next = Instant::now() + CHECK_INTERVAL;
                    }
                    let hub = &checker.kept.hub;
                    // No one waits for the answer: the file knows the outcome.
                    let reload = || hub.try_ask(Question::Reload(oneshot::channel().0));
                    let changing = checker.lookout.poll_file(&checker.kept.about.config, reload);
                    let until = next.saturating_duration_since(Instant::now());
                    wait = if changing { until.min(SETTLE_INTERVAL) } else { until };
                }
                // No one waits any more if this check took too long.
                let _ = end.send(());
            },
        )?;
        Ok(SelfCheck { stop, ended })
    }

    /// Ends the check: nothing is put back from here on. Waits for a check under way, but not for long.
    pub(crate) fn stop(self) {
        let _ = self.stop.try_send(());
        let _ = self.ended.recv_timeout(LAST_CHECK_TIMEOUT);
    }
}

struct Checker {
    kept: Kept,
    /// Where the state directory was when the daemon started, with links resolved.
    place: PathBuf,
    lookout: ConfigPoll,
    /// What the log says already.
    trouble: Option<String>,
    /// How often in a row another process held the new lock file.
    lost: u32,
    /// Whether tokens may have been removed since the loop was told to disconnect whom they had let in.
    has_revoked: bool,
    /// The last question to the loop, and the last one that it has answered.
    asked: u64,
    answered: Arc<AtomicU64>,
    /// For how many checks the loop has not answered, and whether the log says so.
    silent: u64,
    jammed: bool,
}

impl Checker {
    fn check(&mut self) {
        if let Claim::Ours(name) = &*self.kept.claim {
            name.forget_questions();
        }
        match self.put_right() {
            Ok(()) => self.trouble = None,
            Err(trouble) if self.trouble.as_ref() == Some(&trouble) => {}
            Err(trouble) => {
                tracing::error!(trouble, "the daemon may not be found by new clients");
                self.trouble = Some(trouble);
            }
        }
        self.look_at_tokens();
        self.ask_the_loop();
    }

    /// Looks whether the file of the tokens that have names has changed, as is done with `config.toml`.
    fn look_at_tokens(&mut self) {
        self.has_revoked |= self.kept.about.admission.named.look_again();
        if self.has_revoked {
            // No one waits for the answer. Without room in the queue it is tried again a second later.
            self.has_revoked = !self.kept.hub.try_ask(Question::EndRevoked(oneshot::channel().0));
        }
    }

    fn put_right(&mut self) -> Result<(), String> {
        self.keep_lock()?;
        self.keep_log()?;
        let bound_again = self.keep_socket()?;
        let Kept { home, about, .. } = &self.kept;
        if record::restore_record(home, about)
            .map_err(|error| format!("daemon.json cannot be written: {error}"))?
            && !bound_again
        {
            tracing::warn!("daemon.json was not this daemon's; it is again");
        }
        about
            .admission
            .own
            .restore_file(home)
            .map_err(|error| format!("the token cannot be written: {error}"))
    }

    fn keep_log(&self) -> Result<(), String> {
        if logging::log_exists(&self.kept.home) {
            return Ok(());
        }
        logging::reopen_log(&self.kept.home).map_err(|error| format!("no new log: {error}"))
    }

    fn keep_lock(&mut self) -> Result<(), String> {
        let mut held = self.kept.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match held.still_named() {
            Ok(true) => {
                self.lost = 0;
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => return Err(format!("{} cannot be looked at: {error}", held.path().display())),
        }
        let home = &self.kept.home;
        home.ensure().map_err(|error| error.to_string())?;
        if home.path().canonicalize().ok().as_ref() != Some(&self.place) {
            let (path, place) = (home.path().display(), self.place.display());
            return Err(format!("{path} does not lead to {place} any more; nothing there is touched"));
        }
        let path = home.instance_lock();
        match lock::lock_until(&path, Instant::now() + RENEWED_LOCK_TIMEOUT) {
            Ok(Some(new)) => *held = new,
            Ok(None) => {
                drop(held);
                return Err(self.give_way());
            }
            Err(error) => return Err(format!("{} cannot be locked: {error}", path.display())),
        }
        drop(held);
        self.lost = 0;
        self.keep_log()?;
        tracing::warn!("the lock file was removed under the living daemon; it is there again, and held");
        Ok(())
    }

    /// Handles that the lock file is another one and that another process holds it.
    fn give_way(&mut self) -> String {
        let path = self.kept.home.instance_lock();
        let holder =
            lock::holder(&path).ok().flatten().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        self.lost += 1;
        if !matches!(*self.kept.claim, Claim::Ours(_)) && self.lost == MAX_CHECKS_WITHOUT_PROOF {
            tracing::error!(
                "another process{holder} holds the new {} and may be the daemon now: this one ends",
                path.display()
            );
            let (hub, end) = (self.kept.hub.clone(), ByeReason::Restart);
            // A hub that has ended is stopping already.
            let stop = async move { hub.send(HubEvent::Stop { grace: DRAIN_TIMEOUT, reason: end }).await };
            self.kept.listeners.state.tasks.spawn_on(stop, &self.kept.runtime);
        }
        format!(
            "{} was removed under the daemon, and another process{holder} holds the new one",
            path.display()
        )
    }

    /// Puts the socket back if it is gone. Returns whether there is a new socket.
    fn keep_socket(&self) -> Result<bool, String> {
        let Kept { home, about, listeners, runtime, .. } = &self.kept;
        let there = about.local().parse::<Endpoint>().is_ok_and(|endpoint| endpoint.exists());
        if there {
            return Ok(false);
        }
        let failed = |error: std::io::Error| format!("no new local socket: {error}");
        let name = format!("{}-{}", about.instance, token::random_hex::<2>());
        let endpoint = Endpoint::fresh(home.path(), &name).map_err(failed)?;
        let _entered = runtime.enter();
        let listener = Listener::bind(&endpoint).map_err(failed)?;
        listeners.open_local(listener);
        about.set_local(endpoint.to_string());
        tracing::warn!(%endpoint, "the local socket was removed under the living daemon; there is a new one");
        Ok(true)
    }

    /// Checks whether the loop still turns: it is asked now, and the answer is read by the next check.
    fn ask_the_loop(&mut self) {
        // A hub that has ended is stopping, which is no trouble.
        let heard = self.answered.load(Ordering::Relaxed) == self.asked || self.kept.hub.is_gone();
        self.silent = if heard && self.ask_again() { 0 } else { self.silent + 1 };
        match (self.silent >= MAX_UNANSWERED_CHECKS, self.jammed) {
            (true, false) => {
                let silent = self.silent;
                tracing::error!("the daemon's loop has not answered for {silent} s; `exai restart` ends it");
                self.jammed = true;
            }
            (false, true) => {
                tracing::warn!("the daemon's loop answers again");
                self.jammed = false;
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Asks the loop. Returns whether there was room for the question.
    fn ask_again(&mut self) -> bool {
        let pulse = Question::Pulse { number: self.asked + 1, answered: Arc::clone(&self.answered) };
        let put = self.kept.hub.try_ask(pulse);
        if put {
            self.asked += 1;
        }
        put || self.kept.hub.is_gone()
    }
}
