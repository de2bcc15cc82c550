//! Whose an HTTP session is: the process that its requests come from, as far as the kernel tells who has the other ends
//! of their connections.
//!
//! Many clients go without ending their sessions, so a session ends with its process. But a session may well outlive a
//! process that has used it: a script has one program for each request, some clients talk through a helper that comes
//! and goes, and a proxy has workers. So a process counts only if it is the only one that was ever seen to use the
//! session, with the last requests, at least two of them, and for a while. A request over a connection that is closed
//! before anybody has looked who had it may have come from anybody.
//!
//! The watcher looks, once a second, on its own thread. A connection is looked at once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::limits::MAX_REMEMBERED_CALLERS;
use exai_os::port::{self, Connection};
use exai_os::process::{self, Identity, ProcessInfo};

/// For how long a process must have used a session: helpers are gone sooner.
const WHILE: Duration = Duration::from_secs(2);

/// The other end of a connection over TCP.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) connection: Connection,
    /// Who it is, once that was asked; `None` within where the kernel does not tell.
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

/// Asks who these are. `table` was read before: who was there then and is the same afterwards, is who had the connection
/// in between.
pub(crate) fn ask_who(callers: &[Arc<Caller>], table: &[ProcessInfo]) {
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
        let process = process.filter(|process| lives(table, process));
        // Nobody else asks.
        let _ = caller.process.set(process);
    }
}

fn lives(table: &[ProcessInfo], process: &Identity) -> bool {
    table.iter().any(|row| row.pid == process.pid && row.start == process.start && !row.zombie)
}

/// How a session was used.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// The connections over which requests came since the last look, and the last of them at the end.
    heard: Vec<Heard>,
    user: User,
}

/// Requests over one connection.
#[derive(Debug)]
struct Heard {
    /// `None` where nothing can be found out.
    caller: Option<Arc<Caller>>,
    requests: u32,
    first: Instant,
}

#[derive(Debug, Default)]
enum User {
    #[default]
    Unknown,
    /// No other was seen.
    One(One),
    Several,
}

#[derive(Debug)]
struct One {
    process: Identity,
    /// How many requests have come from it since one came from who knows where.
    requests: u32,
    /// When the first of them came.
    since: Instant,
    /// When it was last seen to live.
    seen: Instant,
}

impl One {
    fn counts(&self) -> bool {
        self.requests >= 2 && self.seen.saturating_duration_since(self.since) >= WHILE
    }
}

impl Usage {
    /// A request came.
    pub(crate) fn hear(&mut self, caller: Option<Arc<Caller>>, now: Instant) {
        let same = |heard: &Heard| match (&heard.caller, &caller) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        // The last one is the likeliest.
        if let Some(at) = self.heard.iter().rposition(same) {
            let mut heard = self.heard.remove(at);
            heard.requests = heard.requests.saturating_add(1);
            return self.heard.push(heard);
        }
        if self.heard.len() == MAX_REMEMBERED_CALLERS {
            self.heard.clear();
            self.heard.push(Heard { caller: None, requests: 1, first: now });
        }
        self.heard.push(Heard { caller, requests: 1, first: now });
    }

    /// The connections of the requests that have come since the last look.
    pub(crate) fn callers(&self) -> impl Iterator<Item = &Arc<Caller>> {
        self.heard.iter().filter_map(|heard| heard.caller.as_ref())
    }

    /// Takes into account what is known of the requests that have come, of which some may have come since it was asked.
    pub(crate) fn learn(&mut self, table: &[ProcessInfo], now: Instant) {
        let known = |heard: &Heard| heard.caller.as_ref().is_none_or(|caller| caller.is_known());
        while self.heard.first().is_some_and(known) {
            let heard = self.heard.remove(0);
            self.take_in(&heard);
        }
        if let User::One(one) = &mut self.user
            && lives(table, &one.process)
        {
            one.seen = now;
        }
    }

    fn take_in(&mut self, heard: &Heard) {
        let process = heard.caller.as_ref().and_then(|caller| caller.process());
        match (&mut self.user, process) {
            (User::Unknown | User::Several, None) | (User::Several, Some(_)) => {}
            (User::Unknown, Some(process)) => {
                let (process, since) = (process.clone(), heard.first);
                self.user = User::One(One { process, requests: heard.requests, since, seen: since });
            }
            (User::One(one), Some(process)) if one.process == *process => {
                if one.requests == 0 {
                    one.since = heard.first;
                }
                one.requests = one.requests.saturating_add(heard.requests);
            }
            (User::One(_), Some(_)) => self.user = User::Several,
            (User::One(one), None) => one.requests = 0,
        }
    }

    /// The process with which the session ends.
    pub(crate) fn process(&self) -> Option<&Identity> {
        match &self.user {
            User::One(one) if one.counts() && self.nothing_is_to_be_learned(one) => Some(&one.process),
            User::Unknown | User::One(_) | User::Several => None,
        }
    }

    /// Whether every request since the last look came over a connection of this process that is known already.
    fn nothing_is_to_be_learned(&self, one: &One) -> bool {
        let of_its = |heard: &Heard| {
            heard.caller.as_ref().and_then(|caller| caller.process()).is_some_and(|it| *it == one.process)
        };
        self.heard.iter().all(of_its)
    }

    /// Whether it is known that the process with which the session ends is gone.
    pub(crate) fn is_orphaned(&self, table: &[ProcessInfo]) -> bool {
        self.process().is_some_and(|process| !lives(table, process))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32) -> ProcessInfo {
        let name = String::new();
        ProcessInfo { pid, ppid: 1, pgid: pid, name, start: 1, rss_bytes: 0, zombie: false }
    }

    /// The other end of a connection whose process was asked for: this one, or an unknown one.
    fn from(pid: Option<u32>) -> Arc<Caller> {
        let addr = "127.0.0.1:1".parse().unwrap();
        let caller = Caller::new(Connection { here: addr, there: addr });
        caller.process.set(pid.map(|pid| row(pid).identity("boot"))).unwrap();
        Arc::new(caller)
    }

    /// What a session has heard, by the seconds at which it did, and the looks at it, at each of which these lived.
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

        fn hear(&mut self, at: u64, caller: &Arc<Caller>) -> &mut Self {
            self.usage.hear(Some(caller.clone()), self.start + Duration::from_secs(at));
            self
        }

        fn look(&mut self, at: u64) -> Option<u32> {
            self.usage.learn(&self.living, self.start + Duration::from_secs(at));
            self.usage.process().map(|process| process.pid)
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
        assert_eq!(story.hear(0, &line).hear(0, &line).look(1), None, "it may be a helper");
        assert!(!story.is_orphaned_without(7));
        assert_eq!(story.look(2), Some(7));
        assert!(!story.is_orphaned_without(8) && story.is_orphaned_without(7));
        let mut once = Story::new(&[7]);
        assert_eq!(once.hear(0, &line).look(5), None, "it has made one request");
        assert_eq!(once.hear(6, &from(Some(7))).look(7), Some(7), "over another connection");
    }

    #[test]
    fn a_process_of_the_same_number_that_is_another_is_another() {
        let mut story = Story::new(&[7]);
        let line = from(Some(7));
        assert_eq!(story.hear(0, &line).hear(0, &line).look(2), Some(7));
        story.living[0].start = 2;
        assert!(story.is_orphaned_without(8));
    }

    #[test]
    fn one_that_ended_soon_does_not_count() {
        let mut story = Story::new(&[]);
        let line = from(Some(7));
        assert_eq!(story.hear(0, &line).hear(1, &line).look(60), None);
        assert!(!story.is_orphaned_without(7));
    }

    #[test]
    fn who_is_unknown_may_be_anybody() {
        let line = from(Some(7));
        for nobody in [Some(from(None)), None] {
            let mut story = Story::new(&[7]);
            assert_eq!(story.hear(0, &line).hear(0, &line).look(2), Some(7));
            story.usage.hear(nobody, story.start + Duration::from_secs(3));
            assert_eq!(story.usage.process(), None, "at once");
            assert!(!story.is_orphaned_without(7));
            assert_eq!(story.look(4), None);
            assert_eq!(story.hear(5, &line).hear(5, &line).look(6), None, "it begins anew");
            assert_eq!(story.look(7), Some(7));
        }
    }

    #[test]
    fn what_two_have_used_is_neithers() {
        let mut story = Story::new(&[7, 8]);
        let (first, second) = (from(Some(7)), from(Some(8)));
        assert_eq!(story.hear(0, &first).hear(0, &first).look(2), Some(7));
        assert_eq!(story.hear(3, &second).usage.process(), None, "at once");
        assert_eq!(story.look(4), None);
        for at in 5..9 {
            assert_eq!(story.hear(at, &second).hear(at, &second).look(at), None);
        }
        assert!(!story.is_orphaned_without(7) && !story.is_orphaned_without(8));
    }

    #[test]
    fn the_requests_of_a_script_come_from_nobody_that_counts() {
        let mut story = Story::new(&[7]);
        for at in 0..10 {
            // Its programs end before they are looked at, but for one.
            let pid = (at == 5).then_some(7);
            assert_eq!(story.hear(at, &from(pid)).look(at + 1), None);
        }
        assert!(!story.is_orphaned_without(7));
    }

    #[test]
    fn requests_over_connections_without_number_take_a_bound_of_memory() {
        let mut story = Story::new(&[7]);
        for _ in 0..1000 {
            story.hear(0, &from(Some(7)));
            assert!(story.usage.heard.len() <= MAX_REMEMBERED_CALLERS + 1);
        }
        story.look(1);
        assert!(story.usage.heard.is_empty());
        assert_eq!(story.look(2), Some(7), "those that are still known were its own");
    }

    #[test]
    fn what_was_not_asked_yet_is_waited_for() {
        let mut story = Story::new(&[7]);
        let line = from(Some(7));
        assert_eq!(story.hear(0, &line).hear(0, &line).look(2), Some(7));
        let addr = "127.0.0.1:1".parse().unwrap();
        let new = Arc::new(Caller::new(Connection { here: addr, there: addr }));
        assert_eq!(story.hear(3, &new).look(3), None);
        assert!(!story.is_orphaned_without(7));
        new.process.set(Some(row(7).identity("boot"))).unwrap();
        assert_eq!(story.look(4), Some(7));
    }
}
