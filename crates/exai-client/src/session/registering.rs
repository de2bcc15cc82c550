//! Registers what is written, and what answers or cancels it.

use std::ops::Range;
use std::time::Duration;

use exai_proto::json;
use exai_proto::{Id, answer};

use super::era::Era;
use super::in_flight::{InFlight, InFlightRequest, OnLinkLoss, OnSuccess};
use super::list_cache::Page;
use super::listens::ListenState;
use super::methods::Method;
use super::progress;
use super::replies::line_of;
use super::state::Session;
use super::wait_queue::Attempt;
use crate::limits::INITIALIZE_WAIT_TIMEOUT;
use crate::peek::{self, Peeked};

/// What [`Session::register`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registered {
    Written,
    /// It need not be written: it cancels a message that was not written either, or answers a request that is not
    /// open.
    Needless,
}

impl Session {
    /// Registers a message as written.
    pub(super) fn register(
        &mut self,
        line: &[u8],
        part: Range<usize>,
        peeked: Peeked,
        attempt: Attempt,
        time_left: Duration,
    ) -> Registered {
        match peeked {
            Peeked::Request { id, method } => {
                let (id, method) = (Id::from_json(&line[id]), peek::method_name(line, method));
                if self.listen(&id, &line[part.clone()], &method, ListenState::Written) {
                    return Registered::Written;
                }
                let entry = self.entry(&id, &line[part], &method, attempt, time_left);
                let token = entry.token.clone();
                if let (true, Some(token)) = (self.in_flight.add(id, entry), token) {
                    match attempt {
                        Attempt::First => self.progress.begin(token, progress::NONE, false),
                        Attempt::Second { heard } => self.progress.begin(token, heard, true),
                    }
                }
            }
            Peeked::Response { id, .. } => {
                if !self.server_requests.closed(&line[id]) {
                    return Registered::Needless;
                }
            }
            Peeked::Notification { method } => match &*peek::method_name(line, method) {
                b"notifications/initialized" => {
                    self.replay.confirms(&line[part]);
                }
                b"notifications/cancelled" => return self.cancel(&line[part]),
                _ => {}
            },
        }
        Registered::Written
    }

    /// Notes which lists the client has asked for, to tell it what may have changed. In the modern era it says with a
    /// listen what it wants to hear of.
    pub(super) fn note_list(&mut self, method: Method, request: &[u8]) {
        if let Method::List(list) = method
            && Era::of(request) == Era::Legacy
        {
            self.replay.lists(list);
        }
    }

    fn entry(
        &mut self,
        id: &Id,
        text: &[u8],
        method: &[u8],
        attempt: Attempt,
        time_left: Duration,
    ) -> InFlightRequest {
        let parameter = |key: &str| peek::find_path(text, 0, &["params", key]);
        let again = |in_flight: &InFlight| match attempt {
            Attempt::First if in_flight.can_keep(text.len()) => OnLinkLoss::Again(text.to_vec()),
            Attempt::First => OnLinkLoss::Once,
            Attempt::Second { .. } => OnLinkLoss::SecondTime,
        };
        let mut entry = InFlightRequest::new(OnLinkLoss::Once, time_left);
        match Method::of(method) {
            Method::Initialize => {
                self.replay.opens(id.clone(), text);
                entry.on_link_loss = OnLinkLoss::Initialize;
                entry.time_left = time_left.min(INITIALIZE_WAIT_TIMEOUT);
            }
            asked @ (Method::Discover | Method::List(_)) => {
                self.note_list(asked, text);
                entry.on_link_loss = again(&self.in_flight);
                entry.on_success = OnSuccess::Page(Page::of(method, text));
            }
            Method::Harmless => entry.on_link_loss = again(&self.in_flight),
            Method::Call => {
                let tool = parameter("name").and_then(|at| json::string(text, at));
                if attempt != Attempt::First
                    || tool.as_deref().is_some_and(|tool| self.repeatable.contains(tool))
                {
                    entry.on_link_loss = again(&self.in_flight);
                }
                entry.tool = tool.map(|tool| Box::from(&*tool));
            }
            Method::Level => {
                entry.on_success =
                    parameter("level").map_or(OnSuccess::Nothing, |at| OnSuccess::Level(text[at].into()));
            }
            Method::Subscribe => {
                entry.on_success =
                    parameter("uri").map_or(OnSuccess::Nothing, |at| OnSuccess::Subscribe(text[at].into()));
            }
            // The client does not want these updates any more, whatever the answer.
            Method::Unsubscribe => {
                if let Some(at) = parameter("uri") {
                    self.replay.unsubscribes(&text[at]);
                }
            }
            Method::Listen | Method::Other => {}
        }
        if matches!(entry.on_link_loss, OnLinkLoss::Again(_) | OnLinkLoss::SecondTime) {
            let token = peek::find_path(text, 0, &["params", "_meta", "progressToken"]);
            entry.token = token.map(|at| Id::from_json(&text[at]));
        }
        entry
    }

    /// Removes a request that is not under way any more. Returns it with the progress that the client has heard.
    pub(super) fn end(&mut self, id: &Id) -> Option<(InFlightRequest, f64)> {
        let entry = self.in_flight.end(id)?;
        let heard = entry.token.as_ref().map_or(progress::NONE, |token| self.progress.end(token));
        Some((entry, heard))
    }

    /// Cancels a request, which then gets no answer.
    pub(super) fn cancel(&mut self, notification: &[u8]) -> Registered {
        let Some(unwanted) = peek::find_path(notification, 0, &["params", "requestId"]) else {
            return Registered::Written;
        };
        let unwanted = &notification[unwanted];
        if !self.waiting.is_empty() && self.waiting.cancel(unwanted) {
            return Registered::Needless;
        }
        let unwanted = Id::from_json(unwanted);
        match self.listens.end(&unwanted) {
            Some(ListenState::Waiting) => return Registered::Needless,
            Some(ListenState::Written | ListenState::Acknowledged) => return Registered::Written,
            None => {}
        }
        if !self.in_flight.is_opening(&unwanted) {
            self.end(&unwanted);
        }
        Registered::Written
    }

    /// The refusal of a line that uses an id of the shim's own requests.
    pub(super) fn collision(&self, line: &[u8]) -> Option<Vec<u8>> {
        if !self.replay.awaits_daemon() {
            return None;
        }
        let (mut ids, mut collides) = (Vec::new(), false);
        peek::peek_each(line, |_, peeked| {
            if let Peeked::Request { id, .. } = peeked {
                collides |= self.replay.is_minted(&line[id.clone()]);
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
