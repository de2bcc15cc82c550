//! What a shim knows of its client's conversation: which requests are under way, which wait for a daemon,
//! and what to say when the link is lost. No thread, no socket, no clock of its own.
//!
//! Every request gets exactly one answer. It is in one of three places: *waiting* (it goes to the next daemon, or is
//! answered when its patience ends: `initialize` and lists with what is known, all else -31001), *under way* (written:
//! answered by the daemon, or, when the link is lost, asked again once if that can do no harm, or answered -31002), or
//! answered. A cancelled one is in none and gets none.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::link::ByeReason;
use exai_proto::{Id, limits};

use crate::glance::{self, Glance};

mod booking;
mod copies;
mod keeping;
mod memory;
mod methods;
mod progress;
mod questions;
mod under_way;
mod waiting;

use booking::Booked;
use copies::{Copies, Page};
use memory::Memory;
use methods::{Method, starts_again};
use progress::Progress;
use questions::Questions;
use under_way::{Effect, Fate, UnderWay};
use waiting::{Queue, Turn, Waiting};

/// For how long a request waits for a daemon, all its waiting together.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// For how long `initialize` does: clients give up after 10 s or more, and a session that has begun can be mended.
pub const OPENING_PATIENCE: Duration = Duration::from_secs(8);
/// By how much whoever looks for a daemon should give a reason before that.
const MARGIN: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// There is no daemon.
    Down { since: Instant, why: Why },
    /// Messages pass.
    Up,
    /// The daemon finishes what it has, and wants no more.
    Holding,
    /// The daemon has said why it is about to close the link.
    Leaving(ByeReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It went away, or there never was one: another is looked for.
    Lost,
    /// A person stopped it: only a request that does something starts it again.
    Stopped,
    /// Nobody tries to start one for now: there is nothing to wait for.
    Hopeless,
}

/// What to do with a line of the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Up {
    /// Write it to the daemon now.
    Send,
    /// It waits for a daemon, or is dropped.
    Kept,
    /// Write this to the client (lines). Parts of a batch may wait nevertheless.
    Answer(Vec<u8>),
}

/// What to do with a message of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub enum Down {
    /// Write it to the client.
    Forward,
    /// It is not the client's. Write this to it instead (lines, or nothing).
    Instead(Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    memory: Memory,
    copies: Copies,
    under_way: UnderWay,
    waiting: Queue,
    /// The tools that may be called a second time, by the word of the daemon on this link.
    repeatable: HashSet<String>,
    progress: Progress,
    questions: Questions,
    trouble: String,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(now: Instant) -> Self {
        Session {
            phase: Phase::Down { since: now, why: Why::Lost },
            memory: Memory::default(),
            copies: Copies::default(),
            under_way: UnderWay::default(),
            waiting: Queue::default(),
            repeatable: HashSet::new(),
            progress: Progress::default(),
            questions: Questions::default(),
            trouble: String::new(),
        }
    }

    /// A line of the client, which is no longer than a message may be. After [`Up::Send`] it counts as
    /// written until [`Session::unsent`] says otherwise.
    pub fn up(&mut self, line: &[u8], now: Instant) -> Up {
        if let Some(refusal) = self.collision(line) {
            return Up::Answer(refusal);
        }
        let passes = match self.phase {
            Phase::Up => self.waiting.is_empty(),
            // What servers asked must be answered, or they never get done.
            Phase::Holding | Phase::Leaving(_) => !methods::asks(line),
            Phase::Down { .. } => false,
        };
        if !passes {
            return self.keep(line, now);
        }
        let (mut seen, mut needless) = (false, true);
        glance::each(line, |part, glance| {
            needless &= self.register(line, part, glance, Turn::First, PATIENCE) == Booked::Needless;
            seen = true;
        });
        if seen && needless { Up::Kept } else { Up::Send }
    }

    /// The answer to a line that is longer than a message may be.
    pub fn too_long(id: Option<Id>) -> Vec<u8> {
        let sentence = format!("a message may have {} MiB", limits::MESSAGE_BYTES >> 20);
        let data = FailureData::new(Source::Shim, Failure::RequestTooLarge);
        line_of(&answer::failure(&id.unwrap_or_else(Id::null), &sentence, &data))
    }

    /// A daemon is there. What must be written to it before anything else, if anything.
    pub fn connected(&mut self) -> Vec<Vec<u8>> {
        self.phase = Phase::Up;
        self.trouble.clear();
        let waiting = self.waiting.iter().filter_map(|waiting| match glance::at(&waiting.line, 0) {
            Some(Glance::Request { id, .. }) => Some(Id::from_json(&waiting.line[id])),
            Some(Glance::Notification { .. } | Glance::Response { .. }) | None => None,
        });
        let taken: HashSet<Id> = waiting.collect();
        self.memory.replay(|id| taken.contains(id) || self.under_way.contains(id))
    }

    /// What waits and can be written now; it counts as written from here on.
    pub fn take_waiting(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if !matches!(self.phase, Phase::Up) {
            return Vec::new();
        }
        let waiting = self.waiting.take_all();
        for Waiting { line, until, turn } in &waiting {
            let patience = until.saturating_duration_since(now);
            glance::each(line, |part, glance| {
                self.register(line, part, glance, *turn, patience);
            });
        }
        waiting.into_iter().map(|waiting| waiting.line).collect()
    }

    /// A message of the daemon.
    pub fn down(&mut self, message: &[u8]) -> Down {
        let mut verdict = Down::Forward;
        glance::each(message, |part, glance| match glance {
            Glance::Response { id, good } => {
                let id = Id::from_json(&message[id]);
                if let Some(said) = self.memory.answered(&id, good) {
                    verdict = Down::Instead(said);
                    return;
                }
                // Nothing is under way under the id of a cancelled request: its answer came too late, and passes.
                let Some((entry, _)) = self.end(&id) else { return };
                if entry.fate == Fate::SecondTime && !good && says_unsent(message, part.start) {
                    verdict = Down::Instead(outcome_unknown(&id, entry.tool.as_deref(), entry.count));
                    return;
                }
                if entry.fate == Fate::Opening {
                    self.memory.opened(&id, message, part.start);
                }
                match entry.effect {
                    Effect::Level(level) if good => self.memory.level(level),
                    Effect::Subscribe(uri) if good => self.memory.subscribes(uri),
                    Effect::Page(page) if good => {
                        if let Some(result) = glance::seek(message, part.start, &["result"]) {
                            self.copies.keep(page, &message[result]);
                        }
                    }
                    Effect::Level(_) | Effect::Subscribe(_) | Effect::Page(_) | Effect::Nothing => {}
                }
            }
            Glance::Request { id, .. } => self.questions.asked(&message[id]),
            Glance::Notification { method } => match &*glance::name(message, method) {
                b"notifications/progress" if !self.progress.is_empty() => {
                    let token = glance::seek(message, part.start, &["params", "progressToken"]);
                    let value = || {
                        let at = glance::seek(message, part.start, &["params", "progress"])?;
                        std::str::from_utf8(&message[at]).ok()?.parse().ok()
                    };
                    if token.is_some_and(|at| !self.progress.passes(&message[at], value)) {
                        verdict = Down::Instead(Vec::new());
                    }
                }
                b"notifications/cancelled" => {
                    if let Some(id) = glance::seek(message, part.start, &["params", "requestId"]) {
                        self.questions.closed(&message[id]);
                    }
                }
                _ => {}
            },
        });
        verdict
    }

    /// The daemon says which tools may be called a second time. It replaces what it said before.
    pub fn repeatable(&mut self, tools: Vec<String>) {
        self.repeatable = tools.into_iter().collect();
    }

    /// The daemon finishes what it has: whatever comes now is kept for the next.
    pub fn hold(&mut self) {
        if matches!(self.phase, Phase::Up) {
            self.phase = Phase::Holding;
        }
    }

    /// The daemon says why it is about to close the link.
    pub fn bye(&mut self, reason: ByeReason) {
        match self.phase {
            Phase::Up | Phase::Holding | Phase::Leaving(_) => self.phase = Phase::Leaving(reason),
            Phase::Down { .. } => {}
        }
    }

    /// The link is gone. What to tell the client (lines): one answer to each request that was under way and cannot
    /// be asked again, and that nobody waits for its own answers.
    pub fn lost(&mut self, now: Instant) -> Vec<u8> {
        let stopped = matches!(self.phase, Phase::Leaving(ByeReason::Stop));
        let (mut lines, mut again) = (self.questions.lost(), Vec::new());
        for (id, entry) in self.under_way.take_all() {
            let repeatable = entry.tool.as_deref().is_none_or(|tool| self.repeatable.contains(tool));
            let heard = entry.token.as_ref().map_or(progress::NONE, |token| self.progress.end(token));
            let repeated = match entry.fate {
                Fate::Opening => self.memory.unanswered(&id).map(|line| (line, Turn::First)),
                // What a person has stopped is not begun again by itself.
                Fate::Again(line) if repeatable && !stopped => Some((line, Turn::Second { heard })),
                Fate::Again(_) | Fate::Once | Fate::SecondTime => None,
            };
            if let Some((line, turn)) = repeated {
                again.push(Waiting { line, until: now + entry.patience, turn });
                continue;
            }
            if let Effect::Page(page) = &entry.effect
                && let Some(result) = self.copies.get(page)
            {
                lines.extend_from_slice(&line_of(&answer::result(&id, result)));
                continue;
            }
            lines.extend_from_slice(&outcome_unknown(&id, entry.tool.as_deref(), entry.count));
        }
        self.waiting.put_first(again);
        self.repeatable.clear();
        self.memory.lost();
        let wish = self.waiting.iter().any(|waiting| starts_again(&waiting.line));
        let why = if stopped && !wish { Why::Stopped } else { Why::Lost };
        self.phase = Phase::Down { since: now, why };
        lines
    }

    /// Why there is no daemon, for the people who read answers.
    pub fn trouble(&mut self, sentence: String) {
        self.trouble = sentence;
    }

    /// Whether anybody tries to start a daemon. While nobody does, requests are answered at once.
    pub fn hopeless(&mut self, hopeless: bool) {
        if let Phase::Down { why: why @ (Why::Lost | Why::Hopeless), .. } = &mut self.phase {
            *why = if hopeless { Why::Hopeless } else { Why::Lost };
        }
    }

    /// What to tell the client (lines) because it has waited for long enough.
    pub fn expire(&mut self, now: Instant) -> Vec<u8> {
        let due = match self.phase {
            Phase::Down { why: Why::Stopped | Why::Hopeless, .. } => self.waiting.take_all(),
            Phase::Down { why: Why::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {
                self.waiting.take_due(now)
            }
        };
        let mut lines = Vec::new();
        for Waiting { line, turn, .. } in due {
            let (failure, sentence) = match turn {
                Turn::First => (Failure::DaemonUnavailable, self.no_daemon()),
                Turn::Second { .. } => {
                    let now = self.no_daemon();
                    (
                        Failure::OutcomeUnknown,
                        format!("a daemon went away while it worked on this, and now {now}"),
                    )
                }
            };
            lines.extend_from_slice(&self.answer_alone(&line, failure, &sentence));
        }
        lines
    }

    /// Answers a message without a daemon: what is known is told, and the rest is refused.
    fn answer_alone(&mut self, text: &[u8], failure: Failure, sentence: &str) -> Vec<u8> {
        let (id, method) = match glance::at(text, 0) {
            Some(Glance::Request { id, method }) => (Id::from_json(&text[id]), glance::name(text, method)),
            Some(Glance::Notification { method }) => {
                if *glance::name(text, method) == *b"notifications/initialized" {
                    self.memory.confirms(text);
                }
                return Vec::new();
            }
            Some(Glance::Response { .. }) | None => return Vec::new(),
        };
        let known = match Method::of(&method) {
            // There may be a daemon.
            _ if failure == Failure::Overloaded => None,
            Method::Opening => Some(self.memory.introduce(id.clone(), text, sentence)),
            Method::List(list) => {
                // Another list may be there later, and the client must hear of it.
                self.memory.lists(list);
                self.copies.get(&Page::of(&method, text)).map(<[u8]>::to_vec)
            }
            Method::Harmless
            | Method::Call
            | Method::Level
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Other => None,
        };
        match known {
            Some(result) => line_of(&answer::result(&id, &result)),
            None => methods::answers(text, failure, sentence),
        }
    }

    /// When to call [`Session::expire`].
    pub fn deadline(&self) -> Option<Instant> {
        let earliest = self.waiting.earliest()?;
        match self.phase {
            Phase::Down { since, why: Why::Stopped | Why::Hopeless } => Some(since),
            Phase::Down { why: Why::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {
                Some(earliest)
            }
        }
    }

    /// Until when a daemon should be there for those who wait, or a reason why there is none.
    pub fn patience(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down { since, .. } => {
                let until = self.waiting.earliest().unwrap_or(since + PATIENCE);
                Some(until.checked_sub(MARGIN).unwrap_or(until))
            }
            Phase::Up | Phase::Holding | Phase::Leaving(_) => None,
        }
    }

    /// Whether a daemon may be started, or only joined.
    pub fn may_start(&self) -> bool {
        !matches!(self.phase, Phase::Down { why: Why::Stopped, .. })
    }

    /// Whether nothing is owed to the client.
    pub fn idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether the daemon owes anything: then it must show that it lives.
    pub fn expects(&self) -> bool {
        !self.under_way.is_empty() || self.memory.expects()
    }

    fn no_daemon(&self) -> String {
        let mut sentence = match self.phase {
            Phase::Down { why: Why::Stopped, .. } => {
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

/// One answer to each request with this id: it was sent, and what became of it is not known.
fn outcome_unknown(id: &Id, tool: Option<&str>, count: u32) -> Vec<u8> {
    let sentence = "the exai daemon went away while it worked on this; it may have been carried out";
    let data = FailureData { tool, ..FailureData::new(Source::Shim, Failure::OutcomeUnknown) };
    line_of(&answer::failure(id, sentence, &data)).repeat(count as usize)
}

/// Whether an error claims that nothing was sent. Of what was asked again that is true of the second time only.
fn says_unsent(message: &[u8], start: usize) -> bool {
    glance::seek(message, start, &["error", "data", "sent"]).is_some_and(|at| &message[at] == b"false")
}

fn line_of(message: &[u8]) -> Vec<u8> {
    [message, b"\n"].concat()
}

#[cfg(test)]
mod tests;
