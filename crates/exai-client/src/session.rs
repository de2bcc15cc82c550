//! What a shim knows of its client's conversation: which requests are under way, which wait for a daemon,
//! and what to say when the link is lost. No thread, no socket, no clock of its own.
//!
//! Every request gets exactly one answer. It is in one of three places: *waiting* (it goes to the next daemon, or is
//! answered when its patience ends), *under way* (written: answered by the daemon, or, when the link is lost, asked
//! again once if that can do no harm, or answered -31002), or answered. A cancelled one is in none and gets none.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::link::ByeReason;
use exai_proto::{Id, json, limits};

use crate::glance::{self, Glance};

mod memory;
mod methods;
mod under_way;
mod waiting;

use memory::Memory;
use methods::{Method, starts_again};
use under_way::{Effect, Entry, Fate, UnderWay};
use waiting::{Queue, Turn, Waiting};

/// For how long a request waits for a daemon, all its waiting together.
pub const PATIENCE: Duration = Duration::from_secs(15);
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

/// What [`Session::register`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Booked {
    Written,
    /// It need not be written: it cancels what was not written either.
    Needless,
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
    under_way: UnderWay,
    waiting: Queue,
    /// The tools that may be called a second time, by the word of the daemon on this link.
    repeatable: HashSet<String>,
    /// Progress tokens of requests that were asked again. A second run begins at the bottom, and progress must not
    /// go back. How far the first had come is not known: that would be to read all progress on the ordinary way.
    silenced: Vec<Id>,
    /// Requests of servers that the client has not answered.
    asked: HashMap<Id, u32>,
    /// The same from daemons that are gone: the client's answers to these go nowhere.
    stale: HashMap<Id, u32>,
    trouble: String,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(now: Instant) -> Self {
        Session {
            phase: Phase::Down { since: now, why: Why::Lost },
            memory: Memory::default(),
            under_way: UnderWay::default(),
            waiting: Queue::default(),
            repeatable: HashSet::new(),
            silenced: Vec::new(),
            asked: HashMap::new(),
            stale: HashMap::new(),
            trouble: String::new(),
        }
    }

    /// A line of the client, which is no longer than a message may be. After [`Up::Send`] it counts as
    /// written until [`Session::unsent`] says otherwise.
    pub fn up(&mut self, line: &[u8], now: Instant) -> Up {
        if self.drops(line) {
            return Up::Kept;
        }
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
        let mut needless = true;
        let mut seen = false;
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

    /// These lines were to be sent and were not written whole: they go first on the next link. Must be
    /// called before [`Session::lost`] for the link that they were meant for.
    pub fn unsent<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>, now: Instant) {
        let mut back = Vec::new();
        for line in lines {
            glance::each(line, |part, glance| match glance {
                Glance::Request { id, .. } => {
                    // What is not under way was cancelled meanwhile.
                    let Some(entry) = self.end(&Id::from_json(&line[id])) else { return };
                    let turn = if entry.fate == Fate::SecondTime { Turn::Second } else { Turn::First };
                    back.push(Waiting { line: line[part].to_vec(), until: now + entry.patience, turn });
                }
                Glance::Notification { method } => {
                    if self.outlives_the_link(&line[part.clone()], &line[method]) {
                        let until = now + PATIENCE;
                        back.push(Waiting { line: line[part].to_vec(), until, turn: Turn::First });
                    }
                }
                // Whoever asked is gone.
                Glance::Response { .. } => {}
            });
        }
        self.waiting.put_first(back);
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
                let Some(entry) = self.end(&id) else { return };
                if entry.fate == Fate::Opening {
                    self.memory.opened(&id, message, part.start);
                }
                match entry.effect {
                    Effect::Level(level) if good => self.memory.level(level),
                    Effect::Subscribe(uri) if good => self.memory.subscribes(uri),
                    Effect::Level(_) | Effect::Subscribe(_) | Effect::Nothing => {}
                }
            }
            Glance::Request { id, .. } => {
                *self.asked.entry(Id::from_json(&message[id])).or_default() += 1;
            }
            Glance::Notification { method } => {
                if !self.silenced.is_empty() && &message[method] == b"notifications/progress" {
                    let token = glance::seek(message, part.start, &["params", "progressToken"]);
                    if token
                        .is_some_and(|at| self.silenced.iter().any(|id| id.as_json() == &message[at.clone()]))
                    {
                        verdict = Down::Instead(Vec::new());
                    }
                }
            }
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
    /// be asked again.
    pub fn lost(&mut self, now: Instant) -> Vec<u8> {
        let stopped = matches!(self.phase, Phase::Leaving(ByeReason::Stop));
        for (id, count) in self.asked.drain() {
            *self.stale.entry(id).or_default() += count;
        }
        let sentence = "the exai daemon went away while it worked on this; it may have been carried out";
        let (mut lines, mut again) = (Vec::new(), Vec::new());
        for (id, entry) in self.under_way.take_all() {
            let repeatable = entry.tool.as_deref().is_none_or(|tool| self.repeatable.contains(tool));
            let repeated = match entry.fate {
                Fate::Opening => self.memory.unanswered(&id).map(|line| (line, Turn::First)),
                // What a person has stopped is not begun again by itself.
                Fate::Again(line) if repeatable && !stopped => Some((line, Turn::Second)),
                Fate::Again(_) | Fate::Once | Fate::SecondTime => None,
            };
            if let Some((line, turn)) = repeated {
                again.push(Waiting { line, until: now + entry.patience, turn });
                continue;
            }
            let tool = entry.tool.as_deref();
            let data = FailureData { tool, ..FailureData::new(Source::Shim, Failure::OutcomeUnknown) };
            for _ in 0..entry.count {
                lines.extend_from_slice(&line_of(&answer::failure(&id, sentence, &data)));
            }
        }
        self.waiting.put_first(again);
        self.repeatable.clear();
        self.silenced.clear();
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
                Turn::Second => {
                    let now = self.no_daemon();
                    (
                        Failure::OutcomeUnknown,
                        format!("a daemon went away while it worked on this, and now {now}"),
                    )
                }
            };
            lines.extend_from_slice(&methods::answers(&line, failure, &sentence));
        }
        lines
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

    /// Books a message as written.
    fn register(
        &mut self,
        line: &[u8],
        part: Range<usize>,
        glance: Glance,
        turn: Turn,
        patience: Duration,
    ) -> Booked {
        match glance {
            Glance::Request { id, method } => {
                let id = Id::from_json(&line[id]);
                let entry = self.entry(&id, &line[part], &line[method], turn, patience);
                self.silenced.extend(entry.silenced.clone());
                self.under_way.add(id, entry);
            }
            Glance::Response { id, .. } => {
                forget(&mut self.asked, &line[id]);
            }
            Glance::Notification { method } => match &line[method] {
                b"notifications/initialized" => {
                    self.memory.confirms(&line[part]);
                }
                b"notifications/cancelled" => return self.cancel(&line[part]),
                _ => {}
            },
        }
        Booked::Written
    }

    fn entry(&mut self, id: &Id, text: &[u8], method: &[u8], turn: Turn, patience: Duration) -> Entry {
        let parameter = |key: &str| glance::seek(text, 0, &["params", key]);
        let again = |under_way: &UnderWay| match turn {
            Turn::First if under_way.can_keep(text.len()) => Fate::Again(text.to_vec()),
            Turn::First => Fate::Once,
            Turn::Second => Fate::SecondTime,
        };
        let mut entry = Entry::new(Fate::Once, patience);
        match Method::of(method) {
            Method::Opening => {
                self.memory.opens(id.clone(), text);
                entry.fate = Fate::Opening;
            }
            Method::List(list) => {
                self.memory.lists(list);
                entry.fate = again(&self.under_way);
            }
            Method::Harmless => entry.fate = again(&self.under_way),
            Method::Call => {
                let tool = parameter("name").and_then(|at| json::string(text, at));
                if turn == Turn::Second || tool.as_deref().is_some_and(|tool| self.repeatable.contains(tool))
                {
                    entry.fate = again(&self.under_way);
                }
                entry.tool = tool.map(|tool| Box::from(&*tool));
            }
            Method::Level => {
                entry.effect =
                    parameter("level").map_or(Effect::Nothing, |at| Effect::Level(text[at].into()));
            }
            Method::Subscribe => {
                entry.effect =
                    parameter("uri").map_or(Effect::Nothing, |at| Effect::Subscribe(text[at].into()));
            }
            // Whatever the answer: the client does not want it any more.
            Method::Unsubscribe => {
                if let Some(at) = parameter("uri") {
                    self.memory.unsubscribes(&text[at]);
                }
            }
            Method::Other => {}
        }
        if turn == Turn::Second {
            let token = glance::seek(text, 0, &["params", "_meta", "progressToken"]);
            entry.silenced = token.map(|at| Id::from_json(&text[at]));
        }
        entry
    }

    /// A request is not under way any more.
    fn end(&mut self, id: &Id) -> Option<Entry> {
        let entry = self.under_way.end(id)?;
        if let Some(token) = &entry.silenced {
            self.silenced.retain(|silenced| silenced != token);
        }
        Some(entry)
    }

    /// The client wants no answer to a request any more, and gets none.
    fn cancel(&mut self, notification: &[u8]) -> Booked {
        let Some(unwanted) = glance::seek(notification, 0, &["params", "requestId"]) else {
            return Booked::Written;
        };
        let unwanted = &notification[unwanted];
        if !self.waiting.is_empty() && self.waiting.cancel(unwanted) {
            return Booked::Needless;
        }
        let unwanted = Id::from_json(unwanted);
        if !self.under_way.is_opening(&unwanted) {
            self.end(&unwanted);
        }
        Booked::Written
    }

    /// Takes in what cannot be written now, each message of a batch for itself.
    fn keep(&mut self, line: &[u8], now: Instant) -> Up {
        let wish = starts_again(line);
        let (mut answers, mut seen) = (Vec::new(), false);
        glance::each(line, |part, glance| {
            seen = true;
            let text = &line[part];
            if let Some((failure, sentence)) = self.keep_part(line, text, glance, wish, now) {
                answers.extend_from_slice(&methods::answers(text, failure, &sentence));
            }
        });
        // What is no message is the daemon's to answer.
        if !seen && self.waiting.has_room(line.len()) {
            self.waiting.push(Waiting { line: line.to_vec(), until: now + PATIENCE, turn: Turn::First });
        }
        if answers.is_empty() { Up::Kept } else { Up::Answer(answers) }
    }

    fn keep_part(
        &mut self,
        line: &[u8],
        text: &[u8],
        glance: Glance,
        wish: bool,
        now: Instant,
    ) -> Option<(Failure, String)> {
        let waits = match glance {
            // Whoever asked is gone, or about to go.
            Glance::Response { id, .. } => {
                forget(&mut self.asked, &line[id]);
                false
            }
            Glance::Notification { method } => self.outlives_the_link(text, &line[method]),
            Glance::Request { .. } => {
                match self.phase {
                    Phase::Down { why: Why::Stopped, .. } if wish => {
                        // From here on there is a new beginning.
                        self.phase = Phase::Down { since: now, why: Why::Lost };
                    }
                    Phase::Down { why: Why::Stopped | Why::Hopeless, .. } => {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { since, why: Why::Lost } if now.duration_since(since) >= PATIENCE => {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { why: Why::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {}
                }
                if !self.waiting.has_room(text.len()) {
                    let sentence = "too many requests wait for the exai daemon".to_owned();
                    return Some((Failure::Overloaded, sentence));
                }
                true
            }
        };
        if waits && self.waiting.has_room(text.len()) {
            self.waiting.push(Waiting { line: text.to_vec(), until: now + PATIENCE, turn: Turn::First });
        }
        None
    }

    /// Whether a notification that was not written means anything to the next daemon.
    fn outlives_the_link(&mut self, text: &[u8], method: &[u8]) -> bool {
        match method {
            b"notifications/initialized" => !self.memory.confirms(text),
            b"notifications/cancelled" => {
                self.cancel(text);
                false
            }
            // On a question of a daemon that is gone.
            b"notifications/progress" => false,
            _ => true,
        }
    }

    /// Whether the line answers a question of a daemon that is gone.
    fn drops(&mut self, line: &[u8]) -> bool {
        if self.stale.is_empty() {
            return false;
        }
        match glance::at(line, 0) {
            Some(Glance::Response { id, .. }) => forget(&mut self.stale, &line[id]),
            Some(Glance::Request { .. } | Glance::Notification { .. }) | None => false,
        }
    }

    /// The refusal of a line that uses an id of our own.
    fn collision(&self, line: &[u8]) -> Option<Vec<u8>> {
        if !self.memory.expects() {
            return None;
        }
        let (mut ids, mut collides) = (Vec::new(), false);
        glance::each(line, |_, glance| {
            if let Glance::Request { id, .. } = glance {
                collides |= self.memory.is_minted(&line[id.clone()]);
                ids.push(id);
            }
        });
        let refuse = |id: Range<usize>| {
            line_of(&answer::error(
                &Id::from_json(&line[id]),
                -32600,
                "exai itself uses such an id at the moment",
            ))
        };
        collides.then(|| ids.into_iter().flat_map(refuse).collect())
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
