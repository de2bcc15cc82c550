//! Keeping book of what is written.

use std::ops::Range;
use std::time::Duration;

use exai_proto::json;
use exai_proto::{Id, answer};

use super::copies::Page;
use super::methods::Method;
use super::progress;
use super::replies::line_of;
use super::state::Session;
use super::under_way::{Effect, Entry, Fate, UnderWay};
use super::waiting::Turn;
use crate::glance::{self, Glance};
use crate::limits::INITIALIZE_WAIT_TIMEOUT;

/// What [`Session::register`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Booked {
    Written,
    /// It need not be written: it cancels what was not written either, or answers nothing that is asked.
    Needless,
}

impl Session {
    /// Books a message as written.
    pub(super) fn register(
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
                let entry = self.entry(&id, &line[part], &glance::name(line, method), turn, patience);
                let token = entry.token.clone();
                if let (true, Some(token)) = (self.under_way.add(id, entry), token) {
                    match turn {
                        Turn::First => self.progress.begin(token, progress::NONE, false),
                        Turn::Second { heard } => self.progress.begin(token, heard, true),
                    }
                }
            }
            Glance::Response { id, .. } => {
                if !self.questions.closed(&line[id]) {
                    return Booked::Needless;
                }
            }
            Glance::Notification { method } => match &*glance::name(line, method) {
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
            Turn::Second { .. } => Fate::SecondTime,
        };
        let mut entry = Entry::new(Fate::Once, patience);
        match Method::of(method) {
            Method::Opening => {
                self.memory.opens(id.clone(), text);
                entry.fate = Fate::Opening;
                entry.patience = patience.min(INITIALIZE_WAIT_TIMEOUT);
            }
            Method::List(list) => {
                self.memory.lists(list);
                entry.fate = again(&self.under_way);
                entry.effect = Effect::Page(Page::of(method, text));
            }
            Method::Harmless => entry.fate = again(&self.under_way),
            Method::Call => {
                let tool = parameter("name").and_then(|at| json::string(text, at));
                if turn != Turn::First || tool.as_deref().is_some_and(|tool| self.repeatable.contains(tool)) {
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
        if matches!(entry.fate, Fate::Again(_) | Fate::SecondTime) {
            let token = glance::seek(text, 0, &["params", "_meta", "progressToken"]);
            entry.token = token.map(|at| Id::from_json(&text[at]));
        }
        entry
    }

    /// A request is not under way any more. With the progress that the client has heard of.
    pub(super) fn end(&mut self, id: &Id) -> Option<(Entry, f64)> {
        let entry = self.under_way.end(id)?;
        let heard = entry.token.as_ref().map_or(progress::NONE, |token| self.progress.end(token));
        Some((entry, heard))
    }

    /// The client wants no answer to a request any more, and gets none.
    pub(super) fn cancel(&mut self, notification: &[u8]) -> Booked {
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

    /// The refusal of a line that uses an id of our own.
    pub(super) fn collision(&self, line: &[u8]) -> Option<Vec<u8>> {
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
}
