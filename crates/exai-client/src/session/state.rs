//! The state of one conversation, with the methods that read it or change only the phase.

use std::collections::HashSet;
use std::time::Instant;

use exai_proto::link::ByeReason;

use super::in_flight::InFlight;
use super::list_cache::ListCache;
use super::listens::Listens;
use super::progress::Progress;
use super::replay::ReplayState;
use super::server_requests::ServerRequests;
use super::wait_queue::WaitQueue;
use crate::limits::{DAEMON_WAIT_TIMEOUT, WAIT_MARGIN};

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// There is no daemon.
    Down { since: Instant, why: DownReason },
    /// Messages pass.
    Up,
    /// The daemon finishes the requests that it has, and takes no more.
    Holding,
    /// The daemon has said why it is about to close the link.
    Leaving(ByeReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DownReason {
    /// The daemon went away, or there never was one. The shim looks for another.
    Lost,
    /// A person stopped the daemon. Only a request that does something starts it again.
    Stopped,
    /// No start is tried for now, so there is nothing to wait for.
    Hopeless,
}

/// What to do with a line of the client.
#[derive(Debug, PartialEq, Eq)]
pub enum LineAction {
    /// Write it to the daemon now.
    Send,
    /// It waits for a daemon, or is dropped.
    Kept,
    /// Write this to the client (lines). Parts of a batch may wait nevertheless.
    Answer(Vec<u8>),
}

/// What to do with a message of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub enum MessageAction {
    /// Write it to the client.
    Forward,
    /// The message is not for the client. Write these lines to the client instead; there may be none.
    Instead(Vec<u8>),
}

/// What a shim knows of its client's conversation.
#[derive(Debug)]
pub struct Session {
    pub(super) phase: Phase,
    pub(super) replay: ReplayState,
    pub(super) list_cache: ListCache,
    pub(super) in_flight: InFlight,
    pub(super) listens: Listens,
    pub(super) waiting: WaitQueue,
    /// The tools that may be called a second time, as the daemon on this link says.
    pub(super) repeatable: HashSet<String>,
    pub(super) progress: Progress,
    pub(super) server_requests: ServerRequests,
    pub(super) trouble: String,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(now: Instant) -> Self {
        Session {
            phase: Phase::Down { since: now, why: DownReason::Lost },
            replay: ReplayState::default(),
            list_cache: ListCache::default(),
            in_flight: InFlight::default(),
            listens: Listens::default(),
            waiting: WaitQueue::default(),
            repeatable: HashSet::new(),
            progress: Progress::default(),
            server_requests: ServerRequests::default(),
            trouble: String::new(),
        }
    }

    /// Sets the tools that may be called a second time, in place of those that the daemon named before.
    pub fn set_repeatable(&mut self, tools: Vec<String>) {
        self.repeatable = tools.into_iter().collect();
    }

    /// The daemon finishes the requests that it has. New messages are kept for the next daemon.
    pub fn hold(&mut self) {
        if matches!(self.phase, Phase::Up) {
            self.phase = Phase::Holding;
        }
    }

    /// Notes why the daemon is about to close the link.
    pub fn note_goodbye(&mut self, reason: ByeReason) {
        match self.phase {
            Phase::Up | Phase::Holding | Phase::Leaving(_) => self.phase = Phase::Leaving(reason),
            Phase::Down { .. } => {}
        }
    }

    /// Sets why there is no daemon, as a sentence for people who read the answers.
    pub fn set_trouble(&mut self, sentence: String) {
        self.trouble = sentence;
    }

    /// Sets whether no start of a daemon is tried for now. Then requests are answered at once.
    pub fn set_hopeless(&mut self, hopeless: bool) {
        if let Phase::Down { why: why @ (DownReason::Lost | DownReason::Hopeless), .. } = &mut self.phase {
            *why = if hopeless { DownReason::Hopeless } else { DownReason::Lost };
        }
    }

    /// When to call [`Session::expire`].
    pub fn deadline(&self) -> Option<Instant> {
        let earliest = self.waiting.earliest()?;
        match self.phase {
            Phase::Down { since, why: DownReason::Stopped | DownReason::Hopeless } => Some(since),
            Phase::Down { why: DownReason::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {
                Some(earliest)
            }
        }
    }

    /// When the waiting requests need a daemon, or a reason why there is none.
    pub fn wanted_by(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down { since, .. } => {
                let until = self.waiting.earliest().unwrap_or(since + DAEMON_WAIT_TIMEOUT);
                Some(until.checked_sub(WAIT_MARGIN).unwrap_or(until))
            }
            Phase::Up | Phase::Holding | Phase::Leaving(_) => None,
        }
    }

    /// Whether a daemon may be started, or only joined.
    pub fn may_start(&self) -> bool {
        !matches!(self.phase, Phase::Down { why: DownReason::Stopped, .. })
    }

    /// Whether nothing is owed to the client. An open listen may stay open for ever.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Whether the daemon owes answers and must show that it lives. To a listen it owes none.
    pub fn awaits_daemon(&self) -> bool {
        !self.in_flight.is_empty() || self.replay.awaits_daemon()
    }

    /// Why a request is not answered by a daemon now, as a sentence for people.
    pub(super) fn no_daemon(&self) -> String {
        let mut sentence = match self.phase {
            Phase::Down { why: DownReason::Stopped, .. } => {
                return "the exai daemon was stopped; the next call starts it again, and so does `exai start`"
                    .to_owned();
            }
            Phase::Holding | Phase::Leaving(_) => {
                return "the exai daemon has not made room for its successor".to_owned();
            }
            Phase::Down { .. } | Phase::Up => "the exai daemon cannot be reached".to_owned(),
        };
        if !self.trouble.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&self.trouble);
        }
        sentence
    }
}
