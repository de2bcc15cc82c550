//! The owner of an HTTP session: the process that its requests come from, as far as the kernel tells which process has the
//! other end of each connection.
//!
//! Many clients go without ending their sessions, so a session ends with its owner. But a session may well outlive a
//! process that has used it: a script has one program for each request, some clients talk through a helper that comes
//! and goes, and a proxy has workers. So a process is the owner only if no other process was ever seen to use the session,
//! the last requests came from it, at least two of them, and it has used the session for a while. A request may have come
//! from any process if its connection was closed before the kernel was asked.
//!
//! The process monitor asks once a second, on its own thread, and once for each connection.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::limits::MAX_REMEMBERED_CALLERS;
use exai_os::port::{self, Connection};
use exai_os::process::{self, Identity, ProcessInfo};

/// How long the owner must have used a session: helpers are gone sooner.
const MIN_USE_TIME: Duration = Duration::from_secs(2);

/// The other end of a connection over TCP.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) connection: Connection,
    /// The process, once the kernel was asked; `None` within if the kernel does not tell.
    process: OnceLock<Option<Identity>>,
}

impl Caller {
    pub(crate) fn new(connection: Connection) -> Self {
        Caller { connection, process: OnceLock::new() }
    }

    fn is_known(&self) -> bool {
        self.process.get().is_some()
    }

    fn process(&self) -> Option<&Identity> {
        self.process.get()?.as_ref()
    }
}

/// Asks the kernel for the processes of these callers. `table` was read before: a process that is in it and is the same
/// afterwards had the connection in between.
pub(crate) fn identify_callers(callers: &[Arc<Caller>], table: &[ProcessInfo]) {
    let unknown: Vec<&Arc<Caller>> = callers.iter().filter(|caller| !caller.is_known()).collect();
    if unknown.is_empty() {
        return;
    }
    let connections: Vec<Connection> = unknown.iter().map(|caller| caller.connection).collect();
    let pids = port::peers(&connections).unwrap_or_else(|error| {
        tracing::debug!(%error, "who has connected cannot be found out");
        vec![None; connections.len()]
    });
    for (caller, pid) in unknown.into_iter().zip(pids) {
        let process = pid.and_then(|pid| process::identify(pid).ok().flatten());
        let process = process.filter(|process| is_alive(table, process));
        // Only this thread sets it.
        let _ = caller.process.set(process);
    }
}

fn is_alive(table: &[ProcessInfo], process: &Identity) -> bool {
    table.iter().any(|row| row.pid == process.pid && row.start == process.start && !row.zombie)
}

/// How a session was used.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// The connections over which requests came since the last update, the most recently used one last.
    recent: Vec<RecentRequests>,
    user: User,
}

/// Requests over one connection.
#[derive(Debug)]
struct RecentRequests {
    /// `None` if the process cannot be found out.
    caller: Option<Arc<Caller>>,
    requests: u32,
    first: Instant,
}

/// The processes that were seen to use the session.
#[derive(Debug, Default)]
enum User {
    #[default]
    Unknown,
    /// One process, and no other.
    One(SoleUser),
    Several,
}

#[derive(Debug)]
struct SoleUser {
    process: Identity,
    /// Requests from the process since the last request of an unknown process.
    requests: u32,
    /// When the first of those requests came.
    since: Instant,
    /// When the process was last seen alive.
    seen: Instant,
}

impl SoleUser {
    fn may_own(&self) -> bool {
        self.requests >= 2 && self.seen.saturating_duration_since(self.since) >= MIN_USE_TIME
    }
}

impl Usage {
    /// Records that a request came.
    pub(crate) fn record_request(&mut self, caller: Option<Arc<Caller>>, now: Instant) {
        let same = |recent: &RecentRequests| match (&recent.caller, &caller) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        // The most recently used connection is the likeliest.
        if let Some(at) = self.recent.iter().rposition(same) {
            let mut recent = self.recent.remove(at);
            recent.requests = recent.requests.saturating_add(1);
            return self.recent.push(recent);
        }
        if self.recent.len() == MAX_REMEMBERED_CALLERS {
            self.recent.clear();
            self.recent.push(RecentRequests { caller: None, requests: 1, first: now });
        }
        self.recent.push(RecentRequests { caller, requests: 1, first: now });
    }

    /// The connections of the requests that have come since the last update.
    pub(crate) fn recent_callers(&self) -> impl Iterator<Item = &Arc<Caller>> {
        self.recent.iter().filter_map(|recent| recent.caller.as_ref())
    }

    /// Updates the owner with the recent requests whose processes are known. Requests that came after the kernel was asked
    /// wait for the next update.
    pub(crate) fn update_owner(&mut self, table: &[ProcessInfo], now: Instant) {
        let known = |recent: &RecentRequests| recent.caller.as_ref().is_none_or(|caller| caller.is_known());
        while self.recent.first().is_some_and(known) {
            let recent = self.recent.remove(0);
            self.count_requests(&recent);
        }
        if let User::One(one) = &mut self.user
            && is_alive(table, &one.process)
        {
            one.seen = now;
        }
    }

    fn count_requests(&mut self, recent: &RecentRequests) {
        let process = recent.caller.as_ref().and_then(|caller| caller.process());
        match (&mut self.user, process) {
            (User::Unknown | User::Several, None) | (User::Several, Some(_)) => {}
            (User::Unknown, Some(process)) => {
                let (process, since) = (process.clone(), recent.first);
                self.user = User::One(SoleUser { process, requests: recent.requests, since, seen: since });
            }
            (User::One(one), Some(process)) if one.process == *process => {
                if one.requests == 0 {
                    one.since = recent.first;
                }
                one.requests = one.requests.saturating_add(recent.requests);
            }
            (User::One(_), Some(_)) => self.user = User::Several,
            (User::One(one), None) => one.requests = 0,
        }
    }

    /// The process with which the session ends.
    pub(crate) fn owner(&self) -> Option<&Identity> {
        match &self.user {
            User::One(one) if one.may_own() && self.is_recently_used_by(one) => Some(&one.process),
            User::Unknown | User::One(_) | User::Several => None,
        }
    }

    /// Whether every recent request is known to have come from this process.
    fn is_recently_used_by(&self, one: &SoleUser) -> bool {
        let is_of_process = |recent: &RecentRequests| {
            recent.caller.as_ref().and_then(|caller| caller.process()).is_some_and(|it| *it == one.process)
        };
        self.recent.iter().all(is_of_process)
    }

    /// Whether the process with which the session ends is gone.
    pub(crate) fn is_orphaned(&self, table: &[ProcessInfo]) -> bool {
        self.owner().is_some_and(|process| !is_alive(table, process))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32) -> ProcessInfo {
        let name = String::new();
        ProcessInfo { pid, ppid: 1, pgid: pid, name, start: 1, rss_bytes: 0, zombie: false }
    }

    /// A caller whose process is known to be `pid`, or known to be unknown.
    fn from(pid: Option<u32>) -> Arc<Caller> {
        let addr = "127.0.0.1:1".parse().unwrap();
        let caller = Caller::new(Connection { here: addr, there: addr });
        caller.process.set(pid.map(|pid| row(pid).identity("boot"))).unwrap();
        Arc::new(caller)
    }

    /// The requests and updates of a session, at seconds after its start. `living` are the processes alive at each
    /// update.
    struct Story {
        start: Instant,
        usage: Usage,
        living: Vec<ProcessInfo>,
    }

    impl Story {
        fn new(living: &[u32]) -> Self {
            let living = living.iter().map(|pid| row(*pid)).collect();
            Story { start: Instant::now(), usage: Usage::default(), living }
        }

        fn request(&mut self, at: u64, caller: &Arc<Caller>) -> &mut Self {
            self.usage.record_request(Some(caller.clone()), self.start + Duration::from_secs(at));
            self
        }

        fn update(&mut self, at: u64) -> Option<u32> {
            self.usage.update_owner(&self.living, self.start + Duration::from_secs(at));
            self.usage.owner().map(|process| process.pid)
        }

        fn is_orphaned_without(&self, pid: u32) -> bool {
            let left: Vec<ProcessInfo> = self.living.iter().filter(|row| row.pid != pid).cloned().collect();
            self.usage.is_orphaned(&left)
        }
    }

    #[test]
    fn who_has_made_two_requests_and_stayed_for_a_while_is_whose_it_is() {
        let mut story = Story::new(&[7]);
        let line = from(Some(7));
        assert_eq!(story.request(0, &line).request(0, &line).update(1), None, "it may be a helper");
        assert!(!story.is_orphaned_without(7));
        assert_eq!(story.update(2), Some(7));
        assert!(!story.is_orphaned_without(8) && story.is_orphaned_without(7));
        let mut once = Story::new(&[7]);
        assert_eq!(once.request(0, &line).update(5), None, "it has made one request");
        assert_eq!(once.request(6, &from(Some(7))).update(7), Some(7), "over another connection");
    }

    #[test]
    fn a_process_of_the_same_number_that_is_another_is_another() {
        let mut story = Story::new(&[7]);
        let line = from(Some(7));
        assert_eq!(story.request(0, &line).request(0, &line).update(2), Some(7));
        story.living[0].start = 2;
        assert!(story.is_orphaned_without(8));
    }

    #[test]
    fn one_that_ended_soon_does_not_count() {
        let mut story = Story::new(&[]);
        let line = from(Some(7));
        assert_eq!(story.request(0, &line).request(1, &line).update(60), None);
        assert!(!story.is_orphaned_without(7));
    }

    #[test]
    fn who_is_unknown_may_be_anybody() {
        let line = from(Some(7));
        for nobody in [Some(from(None)), None] {
            let mut story = Story::new(&[7]);
            assert_eq!(story.request(0, &line).request(0, &line).update(2), Some(7));
            story.usage.record_request(nobody, story.start + Duration::from_secs(3));
            assert_eq!(story.usage.owner(), None, "at once");
            assert!(!story.is_orphaned_without(7));
            assert_eq!(story.update(4), None);
            assert_eq!(story.request(5, &line).request(5, &line).update(6), None, "it begins anew");
            assert_eq!(story.update(7), Some(7));
        }
    }

    #[test]
    fn what_two_have_used_is_neithers() {
        let mut story = Story::new(&[7, 8]);
        let (first, second) = (from(Some(7)), from(Some(8)));
        assert_eq!(story.request(0, &first).request(0, &first).update(2), Some(7));
        assert_eq!(story.request(3, &second).usage.owner(), None, "at once");
        assert_eq!(story.update(4), None);
        for at in 5..9 {
            assert_eq!(story.request(at, &second).request(at, &second).update(at), None);
        }
        assert!(!story.is_orphaned_without(7) && !story.is_orphaned_without(8));
    }

    #[test]
    fn the_requests_of_a_script_come_from_nobody_that_counts() {
        let mut story = Story::new(&[7]);
        for at in 0..10 {
            // All programs of the script but one end before exai asks the kernel about them.
            let pid = (at == 5).then_some(7);
            assert_eq!(story.request(at, &from(pid)).update(at + 1), None);
        }
        assert!(!story.is_orphaned_without(7));
    }

    #[test]
    fn requests_over_connections_without_number_take_a_bound_of_memory() {
        let mut story = Story::new(&[7]);
        for _ in 0..1000 {
            story.request(0, &from(Some(7)));
            assert!(story.usage.recent.len() <= MAX_REMEMBERED_CALLERS + 1);
        }
        story.update(1);
        assert!(story.usage.recent.is_empty());
        assert_eq!(story.update(2), Some(7), "those that are still known were its own");
    }

    #[test]
    fn what_was_not_asked_yet_is_waited_for() {
        let mut story = Story::new(&[7]);
        let line = from(Some(7));
        assert_eq!(story.request(0, &line).request(0, &line).update(2), Some(7));
        let addr = "127.0.0.1:1".parse().unwrap();
        let new = Arc::new(Caller::new(Connection { here: addr, there: addr }));
        assert_eq!(story.request(3, &new).update(3), None);
        assert!(!story.is_orphaned_without(7));
        new.process.set(Some(row(7).identity("boot"))).unwrap();
        assert_eq!(story.update(4), Some(7));
    }
}
