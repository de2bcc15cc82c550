//! Which requests a daemon has, and what becomes of each when it goes away.

use std::collections::HashMap;
use std::time::Duration;

use exai_proto::Id;

use super::list_cache::Page;
use crate::limits::MAX_REPEATABLE_BYTES;

/// What becomes of a request whose link is lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnLinkLoss {
    /// It may have been carried out: never repeated.
    Once,
    /// It can be asked again; this is its text.
    Again(Vec<u8>),
    /// It was asked again; there is no third time.
    SecondTime,
    /// `initialize`, which can be asked as often as its patience lasts. The text is kept elsewhere.
    Initialize,
}

/// What its success means for the conversation; the boxes hold the JSON text of a parameter.
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
    /// The token of its progress, where a second run may have to go on from what the client has heard of the first.
    pub(super) token: Option<Id>,
    /// For how long it may still wait for a daemon.
    pub(super) patience: Duration,
    /// When it was asked, before or after the others.
    place: u64,
    /// How often the client uses this id at the same time, against the rules.
    pub(super) count: u32,
}

impl InFlightRequest {
    pub(super) fn new(on_link_loss: OnLinkLoss, patience: Duration) -> Self {
        InFlightRequest {
            on_link_loss,
            on_success: OnSuccess::Nothing,
            tool: None,
            token: None,
            patience,
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

/// See the module.
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

    /// Takes in a request. Whether it is the only one with this id.
    pub(super) fn add(&mut self, id: Id, mut entry: InFlightRequest) -> bool {
        self.last += 1;
        entry.place = self.last;
        if let Some(before) = self.entries.get_mut(&id) {
            // Which of them an answer belongs to is unknown: none can be repeated.
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

    /// It is answered, cancelled or was not written. `None` when it is not under way; a part that is left when
    /// the client uses an id twice.
    pub(super) fn end(&mut self, id: &Id) -> Option<InFlightRequest> {
        let entry = self.entries.get_mut(id)?;
        if entry.count > 1 {
            entry.count -= 1;
            return Some(InFlightRequest {
                place: entry.place,
                ..InFlightRequest::new(OnLinkLoss::Once, entry.patience)
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

    /// All, in the order in which they were asked.
    pub(super) fn take_all(&mut self) -> Vec<(Id, InFlightRequest)> {
        self.kept_bytes = 0;
        let mut all: Vec<_> = self.entries.drain().collect();
        all.sort_unstable_by_key(|(_, entry)| entry.place);
        all
    }
}
