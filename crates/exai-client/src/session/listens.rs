//! The open `subscriptions/listen` requests of the client.
//!
//! A listen is answered only when it ends, and may stay open as long as the client lives. So it is neither waiting nor
//! under way: it has no time in which it must be answered, and no daemon owes an answer to it. It outlives the link
//! and goes to the next daemon under the same id.

use std::collections::BTreeMap;

use exai_proto::modern::SUBSCRIPTION_ID;
use exai_proto::{Id, answer, json, limits};

use super::lists::LISTS;
use crate::limits::{MAX_LISTEN_BYTES, MAX_LISTENS};
use crate::peek;

/// What the daemon of this link knows of a listen. Without a link it is what the last daemon knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListenState {
    /// Nothing. The next daemon gets it.
    Waiting,
    /// It was written to the daemon.
    Written,
    /// The daemon has acknowledged it.
    Acknowledged,
}

#[derive(Debug)]
struct Listen {
    line: Vec<u8>,
    state: ListenState,
    /// The JSON text of the filter that was acknowledged to the client. `None` if the client has no acknowledgement;
    /// empty if the text was too long to be kept.
    acknowledged: Option<Box<[u8]>>,
}

impl Listen {
    fn bytes(&self) -> usize {
        self.line.len() + self.acknowledged.as_ref().map_or(0, |filter| filter.len())
    }
}

/// The open listens, bounded.
#[derive(Debug, Default)]
pub(super) struct Listens {
    open: BTreeMap<Id, Listen>,
    bytes: usize,
}

impl Listens {
    pub(super) fn contains(&self, id: &Id) -> bool {
        self.open.contains_key(id)
    }

    /// Whether there is room for another one of so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.open.len() < MAX_LISTENS && self.bytes + bytes <= MAX_LISTEN_BYTES
    }

    /// Adds a listen. Returns `false` if there is no room, or if one with this id is open: that is a request like any
    /// other, and the daemon refuses it.
    pub(super) fn add(&mut self, id: Id, line: &[u8], state: ListenState) -> bool {
        if !self.has_room(line.len()) || self.contains(&id) {
            return false;
        }
        self.bytes += line.len();
        self.open.insert(id, Listen { line: line.to_vec(), state, acknowledged: None });
        true
    }

    /// Whether this very request is an open listen.
    pub(super) fn is_open(&self, id: &Id, line: &[u8]) -> bool {
        self.open.get(id).is_some_and(|listen| listen.line == line)
    }

    /// Removes a listen that is over. Returns what the daemon knew of it.
    pub(super) fn end(&mut self, id: &Id) -> Option<ListenState> {
        let listen = self.open.remove(id)?;
        self.bytes -= listen.bytes();
        Some(listen.state)
    }

    /// Has a listen wait for the next daemon. Returns whether it is open.
    pub(super) fn wait(&mut self, id: &Id) -> bool {
        let listen = self.open.get_mut(id);
        listen.map(|listen| listen.state = ListenState::Waiting).is_some()
    }

    /// The lines for a new daemon.
    pub(super) fn replay(&mut self) -> Vec<Vec<u8>> {
        let all = self.open.values_mut();
        all.map(|listen| {
            listen.state = ListenState::Written;
            listen.line.clone()
        })
        .collect()
    }

    /// Takes the acknowledgement of a listen. Returns the lines that the client is told instead; `None` when the
    /// acknowledgement is for the client.
    pub(super) fn acknowledged(&mut self, id: &Id, filter: &[u8]) -> Option<Vec<u8>> {
        let listen = self.open.get_mut(id)?;
        let before = std::mem::replace(&mut listen.state, ListenState::Acknowledged);
        if let (ListenState::Written, Some(told)) = (before, &listen.acknowledged) {
            return Some(perhaps_changed(id, told));
        }
        self.bytes -= listen.bytes();
        listen.acknowledged = Some(Box::default());
        if self.bytes + listen.bytes() + filter.len() <= MAX_LISTEN_BYTES {
            listen.acknowledged = Some(filter.into());
        }
        self.bytes += listen.bytes();
        None
    }
}

/// The id of the listen that a notification belongs to.
pub(super) fn listen_of(notification: &[u8], start: usize) -> Option<Id> {
    let at = peek::find_path(notification, start, &["params", "_meta", SUBSCRIPTION_ID])?;
    Some(Id::from_json(&notification[at]))
}

/// The notifications of everything that a client listens to with this filter: it may have changed while there was no
/// daemon.
fn perhaps_changed(id: &Id, filter: &[u8]) -> Vec<u8> {
    let meta = format!("\"_meta\":{{\"{SUBSCRIPTION_ID}\":{}}}", String::from_utf8_lossy(id.as_json()));
    let mut lines = Vec::new();
    let mut tell = |method: &str, params: &str| {
        lines.extend_from_slice(&answer::notify(method, params));
        lines.push(b'\n');
    };
    for names in LISTS {
        if peek::find_path(filter, 0, &[names.filter]).is_some_and(|at| &filter[at] == b"true") {
            tell(names.changed, &format!("{{{meta}}}"));
        }
    }
    if let Some(uris) = peek::find_path(filter, 0, &["resourceSubscriptions"]) {
        for uri in json::elements(filter, uris).take(limits::SUBSCRIPTIONS) {
            let uri = String::from_utf8_lossy(&filter[uri]);
            tell("notifications/resources/updated", &format!("{{\"uri\":{uri},{meta}}}"));
        }
    }
    lines
}
