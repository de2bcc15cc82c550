//! How a server answers when it is asked for its lists: in time, and whole.
//!
//! One server that is slow, hangs or talks nonsense must not delay the lists of the others. Nobody waits long for a
//! list, and for a server that has missed one nobody waits at all, until it is ready anew or has answered promptly.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::pages::Cut;

use crate::limits::{KNOWN_LIST_TIMEOUT, UNKNOWN_LIST_TIMEOUT};
use crate::types::list_kind::ListKind;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ListHealth {
    /// What somebody was answered without, because it was not there in time.
    missed: BTreeSet<ListKind>,
    faults: BTreeMap<ListKind, ListFault>,
    /// What the log was told of: once.
    logged: HashSet<(ListKind, std::mem::Discriminant<ListFault>)>,
}

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListFault {
    /// The server does not become ready. Since when the list is waited for.
    Unready(Instant),
    /// It has not been answered. Since when.
    Unanswered(Instant),
    /// It took so long.
    Slow(Duration),
    /// The server answered with this error.
    Refused(String),
    /// The server answered with this, which is no list.
    NoList(String),
    /// It does not come to an end.
    Cut(Cut),
}

impl ListHealth {
    /// How long a list of this server is waited for from when it was asked for it. `known`: what is known of it would do.
    pub(crate) fn patience(&self, known: bool) -> Duration {
        match (self.missed.is_empty(), known) {
            (false, _) => Duration::ZERO,
            (true, true) => KNOWN_LIST_TIMEOUT,
            (true, false) => UNKNOWN_LIST_TIMEOUT,
        }
    }

    /// The server has answered `initialize`.
    pub(crate) fn became_ready(&mut self) {
        self.missed.clear();
        self.forget_waiting();
    }

    /// The run that was waited for has ended: why is said elsewhere.
    pub(crate) fn forget_waiting(&mut self) {
        self.faults.retain(|_, fault| !matches!(fault, ListFault::Unready(_) | ListFault::Unanswered(_)));
    }

    /// Somebody was answered without this list.
    pub(crate) fn note_missed(&mut self, kind: ListKind) {
        self.missed.insert(kind);
    }

    /// A list has come, so long after it was asked for.
    pub(crate) fn note_list(&mut self, server: &Arc<str>, kind: ListKind, took: Duration, cut: Option<Cut>) {
        self.faults.remove(&kind);
        if took <= KNOWN_LIST_TIMEOUT {
            self.missed.remove(&kind);
        }
        if let Some(cut) = cut {
            self.note(server, kind, ListFault::Cut(cut), Duration::ZERO);
        } else if took > UNKNOWN_LIST_TIMEOUT {
            self.note(server, kind, ListFault::Slow(took), took);
        }
    }

    /// What the server has answered, so long after it was asked, is of no use.
    pub(crate) fn note_failure(
        &mut self,
        server: &Arc<str>,
        kind: ListKind,
        took: Duration,
        fault: ListFault,
    ) {
        // Who fails at once keeps nobody waiting.
        if took > KNOWN_LIST_TIMEOUT {
            self.missed.insert(kind);
        }
        self.note(server, kind, fault, took);
    }

    /// Notes what is wrong with a list, and tells the log if that is new and it was waited for long enough.
    pub(crate) fn note(&mut self, server: &Arc<str>, kind: ListKind, fault: ListFault, waited: Duration) {
        let tells = match fault {
            ListFault::Unready(_) | ListFault::Unanswered(_) | ListFault::Slow(_) => {
                waited >= UNKNOWN_LIST_TIMEOUT
            }
            ListFault::Refused(_) | ListFault::NoList(_) | ListFault::Cut(_) => true,
        };
        if tells && self.logged.insert((kind, std::mem::discriminant(&fault))) {
            let words = FaultText { fault: &fault, kind, waited };
            tracing::warn!(%server, "the server {words}; this is logged once");
        }
        self.faults.insert(kind, fault);
    }

    /// What is wrong, each as a fragment that reads after "the server".
    pub(crate) fn faults(&self, time: Instant) -> impl Iterator<Item = String> {
        let mut is_unready = false;
        self.faults.iter().filter_map(move |(&kind, fault)| {
            let waited = match fault {
                // Once for all its lists.
                ListFault::Unready(_) if std::mem::replace(&mut is_unready, true) => return None,
                ListFault::Unready(since) | ListFault::Unanswered(since) => {
                    time.saturating_duration_since(*since)
                }
                ListFault::Slow(took) => *took,
                ListFault::Refused(_) | ListFault::NoList(_) | ListFault::Cut(_) => UNKNOWN_LIST_TIMEOUT,
            };
            (waited >= UNKNOWN_LIST_TIMEOUT).then(|| FaultText { fault, kind, waited }.to_string())
        })
    }
}

/// What that means for clients of all servers together.
const ELSE: &str = "the lists of all servers come without it, or with what was known of it";

struct FaultText<'a> {
    fault: &'a ListFault,
    kind: ListKind,
    waited: Duration,
}

impl fmt::Display for FaultText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (list, waited) = (self.kind.method(), self.waited.as_secs_f64());
        match self.fault {
            ListFault::Unready(_) => {
                write!(f, "is not ready {waited:.1} s after it was asked for its lists; {ELSE}")
            }
            ListFault::Unanswered(_) => write!(f, "has not answered {list} for {waited:.1} s; {ELSE}"),
            ListFault::Slow(_) => write!(f, "took {waited:.1} s to answer {list}; {ELSE}"),
            ListFault::Refused(error) => write!(f, "answers {list} with an error: {error}"),
            ListFault::NoList(text) => write!(f, "answers {list} with what is no list: {text}"),
            ListFault::Cut(cut) => {
                write!(f, "{cut} {list}: what came before is kept, and no more is asked for")
            }
        }
    }
}
