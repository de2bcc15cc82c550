//! What a shim knows of its client's conversation: which requests are under way, which wait for a daemon,
//! and what to say when the link is lost. No thread, no socket, no clock of its own.
//!
//! Every request gets exactly one answer. It is in one of three places: *waiting* (written to nobody: it
//! goes to the next daemon, or is answered -31001), *under way* (written: answered by the daemon, or by us
//! with -31002 when the link is lost), or answered.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::link::ByeReason;
use exai_proto::{Id, limits};

use crate::glance::{self, Glance};

/// For how long a request waits for a daemon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How many messages may wait, and how many bytes in all.
const WAITING: usize = 256;
const WAITING_BYTES: usize = limits::MESSAGE_BYTES;

/// The first message of a client, and what became of it.
#[derive(Debug)]
struct Opening {
    id: Id,
    line: Vec<u8>,
    answered: bool,
    /// The client's `notifications/initialized`.
    confirmed: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Phase {
    /// No daemon since then.
    Down(Instant),
    /// Connected again; the opening was repeated, and its answer is not the client's.
    Replaying,
    /// Messages pass.
    Up,
}

/// What to do with a line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Up {
    /// Write it to the daemon now.
    Send,
    /// It waits for a daemon, or is dropped.
    Kept,
    /// Write this to the client (lines).
    Answer(Vec<u8>),
}

/// What to do with a message of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// Write it to the client.
    Forward,
    /// It is not the client's: the conversation goes on where it was. Look whether something waits.
    Resumed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    phase: Phase,
    opening: Option<Opening>,
    under_way: HashMap<Id, u32>,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Requests of servers that the client has not answered.
    asked: HashMap<Id, u32>,
    /// The same from daemons that are gone: the client's answers to these go nowhere.
    stale: HashMap<Id, u32>,
    /// A person stopped the daemon: only a request that does something starts it again.
    stopped: bool,
    trouble: String,
    /// Nobody tries to start a daemon for now: there is nothing to wait for.
    hopeless: bool,
}

impl Session {
    pub(crate) fn new(now: Instant) -> Self {
        Session {
            phase: Phase::Down(now),
            opening: None,
            under_way: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            asked: HashMap::new(),
            stale: HashMap::new(),
            stopped: false,
            trouble: String::new(),
            hopeless: false,
        }
    }

    /// A line of the client, which is no longer than a message may be. After [`Up::Send`] it counts as
    /// written until [`Session::unsent`] says otherwise.
    pub(crate) fn up(&mut self, line: &[u8], now: Instant) -> Up {
        if self.drops(line) {
            return Up::Kept;
        }
        self.remember(line);
        match self.phase {
            Phase::Up if self.waiting.is_empty() => {
                self.register(line);
                return Up::Send;
            }
            Phase::Down(since) if self.stopped && !starts_again(line) => {
                return self.unavailable(line, since, now);
            }
            Phase::Down(since)
                if (self.hopeless || now.duration_since(since) >= PATIENCE) && !self.stopped =>
            {
                return self.unavailable(line, since, now);
            }
            Phase::Down(_) if self.stopped => {
                // From here on there is a new beginning, with its own patience.
                self.stopped = false;
                self.phase = Phase::Down(now);
            }
            Phase::Up | Phase::Replaying | Phase::Down(_) => {}
        }
        if self.waiting.len() >= WAITING || self.waiting_bytes + line.len() > WAITING_BYTES {
            return answers(line, Failure::Overloaded, "too many requests wait for the exai daemon");
        }
        self.waiting_bytes += line.len();
        self.waiting.push_back(line.to_vec());
        Up::Kept
    }

    /// The answer to a line that is longer than a message may be.
    pub(crate) fn too_long(id: Option<Id>) -> Vec<u8> {
        let sentence = format!("a message may have {} MiB", limits::MESSAGE_BYTES >> 20);
        let data = FailureData::new(Source::Shim, Failure::RequestTooLarge);
        line_of(&answer::failure(&id.unwrap_or_else(Id::null), &sentence, &data))
    }

    /// These lines were to be sent and were not written whole: they go first on the next link. Must be
    /// called before [`Session::lost`] for the link that they were meant for.
    pub(crate) fn unsent<'a>(&mut self, lines: impl DoubleEndedIterator<Item = &'a [u8]>) {
        for line in lines.rev() {
            glance::each(line, |glance| match glance {
                Glance::Request { id, .. } => {
                    forget(&mut self.under_way, &line[id]);
                }
                Glance::Response { .. } | Glance::Notification { .. } => {}
            });
            self.waiting_bytes += line.len();
            self.waiting.push_front(line.to_vec());
        }
    }

    /// A daemon is there. What must be written to it before anything else, if anything.
    pub(crate) fn connected(&mut self) -> Option<Vec<u8>> {
        self.stopped = false;
        self.trouble.clear();
        self.hopeless = false;
        match &self.opening {
            Some(opening) if opening.answered => {
                self.phase = Phase::Replaying;
                Some(opening.line.clone())
            }
            Some(_) | None => {
                self.phase = Phase::Up;
                None
            }
        }
    }

    /// What waits and can be written now; it counts as written from here on.
    pub(crate) fn take_waiting(&mut self) -> Vec<Vec<u8>> {
        if !matches!(self.phase, Phase::Up) {
            return Vec::new();
        }
        self.waiting_bytes = 0;
        let lines: Vec<_> = self.waiting.drain(..).collect();
        for line in &lines {
            self.register(line);
        }
        lines
    }

    /// A message of the daemon.
    pub(crate) fn down(&mut self, message: &[u8]) -> Down {
        let mut verdict = Down::Forward;
        glance::each(message, |glance| match glance {
            Glance::Response { id } => {
                let id = Id::from_json(&message[id]);
                if let Some(opening) = self.opening.as_mut().filter(|opening| opening.id == id) {
                    if matches!(self.phase, Phase::Replaying) {
                        verdict = Down::Resumed;
                        return;
                    }
                    opening.answered = true;
                }
                forget(&mut self.under_way, id.as_json());
            }
            Glance::Request { id, .. } => {
                *self.asked.entry(Id::from_json(&message[id])).or_default() += 1;
            }
            Glance::Notification { .. } => {}
        });
        if verdict == Down::Resumed {
            self.phase = Phase::Up;
            // The client confirmed the opening once; it will not do so again.
            if let Some(confirmed) = self.opening.as_ref().and_then(|opening| opening.confirmed.clone())
                && self.waiting.front() != Some(&confirmed)
            {
                self.waiting_bytes += confirmed.len();
                self.waiting.push_front(confirmed);
            }
        }
        verdict
    }

    /// The daemon says why it is about to close the link.
    pub(crate) fn bye(&mut self, reason: ByeReason) {
        match reason {
            ByeReason::Stop => self.stopped = true,
            ByeReason::Restart | ByeReason::Upgrade => {}
        }
    }

    /// The link is gone. What to tell the client (lines): one answer to each request under way, except
    /// the opening, which can be asked again.
    pub(crate) fn lost(&mut self, now: Instant) -> Vec<u8> {
        self.phase = Phase::Down(now);
        for (id, count) in self.asked.drain() {
            *self.stale.entry(id).or_default() += count;
        }
        if let Some(opening) = self.opening.as_ref().filter(|opening| !opening.answered)
            && forget(&mut self.under_way, opening.id.as_json())
        {
            self.waiting_bytes += opening.line.len();
            self.waiting.push_front(opening.line.clone());
        }
        let sentence = "the exai daemon went away while it worked on this; it may have been carried out";
        let data = FailureData::new(Source::Shim, Failure::OutcomeUnknown);
        let mut lines = Vec::new();
        for (id, count) in self.under_way.drain() {
            for _ in 0..count {
                lines.extend_from_slice(&line_of(&answer::failure(&id, sentence, &data)));
            }
        }
        lines
    }

    /// Why there is no daemon, for the people who read answers.
    pub(crate) fn trouble(&mut self, sentence: String) {
        self.trouble = sentence;
    }

    /// Whether anybody tries to start a daemon. While nobody does, requests are answered at once.
    pub(crate) fn hopeless(&mut self, hopeless: bool) {
        self.hopeless = hopeless;
    }

    /// What to tell the client (lines) because it has waited for long enough.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<u8> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        self.waiting_bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let sentence = self.no_daemon();
        let mut lines = Vec::new();
        for line in waiting {
            if let Up::Answer(answer) = answers(&line, Failure::DaemonUnavailable, &sentence) {
                lines.extend_from_slice(&answer);
            }
        }
        lines
    }

    /// When to call [`Session::expire`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down(since) if !self.waiting.is_empty() && self.hopeless => Some(since),
            Phase::Down(since) if !self.waiting.is_empty() => Some(since + PATIENCE),
            Phase::Down(_) | Phase::Replaying | Phase::Up => None,
        }
    }

    /// Until when a daemon should be there for those who wait.
    pub(crate) fn patience(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down(since) => Some(since + PATIENCE),
            Phase::Replaying | Phase::Up => None,
        }
    }

    /// Whether a daemon may be started, or only joined.
    pub(crate) fn may_start(&self) -> bool {
        !self.stopped
    }

    /// Whether nothing is owed to anybody.
    pub(crate) fn idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether something waits that could be written.
    pub(crate) fn can_write(&self) -> bool {
        matches!(self.phase, Phase::Up) && !self.waiting.is_empty()
    }

    /// Keeps the opening of the conversation, to repeat it to another daemon.
    fn remember(&mut self, line: &[u8]) {
        match glance::at(line, 0) {
            Some(Glance::Request { id, method }) if &line[method.clone()] == b"initialize" => {
                let id = Id::from_json(&line[id]);
                self.opening = Some(Opening { id, line: line.to_vec(), answered: false, confirmed: None });
            }
            Some(Glance::Notification { method })
                if &line[method.clone()] == b"notifications/initialized" =>
            {
                if let Some(opening) = &mut self.opening {
                    opening.confirmed = Some(line.to_vec());
                }
            }
            _ => {}
        }
    }

    fn register(&mut self, line: &[u8]) {
        glance::each(line, |glance| match glance {
            Glance::Request { id, .. } => {
                *self.under_way.entry(Id::from_json(&line[id])).or_default() += 1;
            }
            Glance::Response { id } => {
                forget(&mut self.asked, &line[id]);
            }
            Glance::Notification { .. } => {}
        });
    }

    /// Whether the line answers a question of a daemon that is gone.
    fn drops(&mut self, line: &[u8]) -> bool {
        if self.stale.is_empty() {
            return false;
        }
        match glance::at(line, 0) {
            Some(Glance::Response { id }) => forget(&mut self.stale, &line[id]),
            Some(Glance::Request { .. } | Glance::Notification { .. }) | None => false,
        }
    }

    fn unavailable(&self, line: &[u8], since: Instant, now: Instant) -> Up {
        debug_assert!(now >= since, "BUG: the link was lost in the future");
        answers(line, Failure::DaemonUnavailable, &self.no_daemon())
    }

    fn no_daemon(&self) -> String {
        if self.stopped {
            return "the exai daemon was stopped; the next call starts it again, and so does `exai start`"
                .to_owned();
        }
        let mut sentence = "the exai daemon cannot be reached".to_owned();
        if !self.trouble.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&self.trouble);
        }
        sentence
    }
}

/// Whether the line asks for something to be done: the wish of a person that outweighs `exai stop`.
fn starts_again(line: &[u8]) -> bool {
    let mut found = false;
    glance::each(line, |glance| {
        if let Glance::Request { method, .. } = glance {
            let method = &line[method];
            found |=
                matches!(method, b"tools/call" | b"resources/read" | b"prompts/get" | b"completion/complete");
        }
    });
    found
}

/// Answers each request of a line with the same failure.
fn answers(line: &[u8], failure: Failure, sentence: &str) -> Up {
    let data = FailureData {
        hint: (failure == Failure::DaemonUnavailable).then_some("exai status"),
        ..FailureData::new(Source::Shim, failure)
    };
    let mut lines = Vec::new();
    glance::each(line, |glance| {
        if let Glance::Request { id, .. } = glance {
            lines.extend_from_slice(&line_of(&answer::failure(&Id::from_json(&line[id]), sentence, &data)));
        }
    });
    if lines.is_empty() { Up::Kept } else { Up::Answer(lines) }
}

fn line_of(message: &[u8]) -> Vec<u8> {
    [message, b"\n"].concat()
}

/// Takes one off the count of `id`; whether there was one.
fn forget(counts: &mut HashMap<Id, u32>, id: &[u8]) -> bool {
    let id = Id::from_json(id);
    let Some(count) = counts.get_mut(&id) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&id);
    }
    true
}

#[cfg(test)]
mod tests;
