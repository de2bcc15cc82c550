//! The requests that a daemon has, and what happens to each when the daemon goes away.

use std::collections::HashMap;
use std::time::Duration;

use exai_proto::Id;

use super::list_cache::Page;
use crate::limits::MAX_REPEATABLE_BYTES;

/// What happens to a request whose link is lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnLinkLoss {
    /// It may have been carried out and is never repeated.
    Once,
    /// It can be sent again; this is its text.
    Again(Vec<u8>),
    /// It was sent a second time and is not sent a third time.
    SecondTime,
    /// `initialize`, which is sent again until its time is over. The replay state keeps its text.
    Initialize,
}

/// What the success of a request changes in the conversation. The boxes hold the JSON text of a parameter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnSuccess {
    Nothing,
    Level(Box<[u8]>),
    Subscribe(Box<[u8]>),
    /// Its result is a page of a list.
    Page(Page),
}

/// One request.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    pub(super) on_link_loss: OnLinkLoss,
    pub(super) on_success: OnSuccess,
    /// The tool it calls.
    pub(super) tool: Option<Box<str>>,
    /// The token of its progress, where a second run may have to continue from what the client has heard of the first
    /// run.
    pub(super) token: Option<Id>,
    /// How long it may still wait for a daemon.
    pub(super) time_left: Duration,
    /// Its place in the order of requests.
    place: u64,
    /// How many requests with this id are under way. More than one is against the rules.
    pub(super) count: u32,
}

impl InFlightRequest {
    pub(super) fn new(on_link_loss: OnLinkLoss, time_left: Duration) -> Self {
        InFlightRequest {
            on_link_loss,
            on_success: OnSuccess::Nothing,
            tool: None,
            token: None,
            time_left,
            place: 0,
            count: 1,
        }
    }

    fn kept(&self) -> usize {
        match &self.on_link_loss {
            OnLinkLoss::Again(line) => line.len(),
            OnLinkLoss::Once | OnLinkLoss::SecondTime | OnLinkLoss::Initialize => 0,
        }
    }
}

/// The requests that are under way.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    entries: HashMap<Id, InFlightRequest>,
    kept_bytes: usize,
    last: u64,
}

impl InFlight {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether so much more text can be kept.
    pub(super) fn can_keep(&self, bytes: usize) -> bool {
        self.kept_bytes + bytes <= MAX_REPEATABLE_BYTES
    }

    /// Adds a request. Returns whether it is the only one with this id.
    pub(super) fn add(&mut self, id: Id, mut entry: InFlightRequest) -> bool {
        self.last += 1;
        entry.place = self.last;
        if let Some(before) = self.entries.get_mut(&id) {
            // An answer could belong to any of them, so none can be repeated.
            self.kept_bytes -= before.kept();
            before.on_link_loss = OnLinkLoss::Once;
            before.on_success = OnSuccess::Nothing;
            before.tool = None;
            before.count += 1;
            return false;
        }
        self.kept_bytes += entry.kept();
        self.entries.insert(id, entry);
        true
    }

    /// Removes a request that is answered, cancelled or was not written. Returns `None` when it is not under way. Of
    /// several requests with this id it removes one.
    pub(super) fn end(&mut self, id: &Id) -> Option<InFlightRequest> {
        let entry = self.entries.get_mut(id)?;
        if entry.count > 1 {
            entry.count -= 1;
            return Some(InFlightRequest {
                place: entry.place,
                ..InFlightRequest::new(OnLinkLoss::Once, entry.time_left)
            });
        }
        let entry = self.entries.remove(id)?;
        self.kept_bytes -= entry.kept();
        Some(entry)
    }

    /// Whether this is an `initialize`, which cannot be cancelled.
    pub(super) fn is_opening(&self, id: &Id) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.on_link_loss == OnLinkLoss::Initialize)
    }

    /// Takes all requests, in the order in which they were sent.
    pub(super) fn take_all(&mut self) -> Vec<(Id, InFlightRequest)> {
        self.kept_bytes = 0;
        let mut all: Vec<_> = self.entries.drain().collect();
        all.sort_unstable_by_key(|(_, entry)| entry.place);
        all
    }
}
