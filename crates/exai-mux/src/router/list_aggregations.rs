//! Requests of clients of the aggregated endpoint that wait for the lists of servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use exai_proto::Message;

use crate::limits::{MAX_UNROUTED_BYTES, MAX_UNROUTED_MESSAGES};
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId};
use crate::types::list_kind::ListKind;

/// All requests that wait for lists.
#[derive(Debug, Default)]
pub(crate) struct ListAggregations {
    waiting: Vec<ListAggregation>,
}

/// A request that waits for lists.
#[derive(Debug)]
pub(crate) struct ListAggregation {
    pub(crate) call: CallId,
    pub(crate) then: AfterLists,
    /// The lists that have not come, by server, and until when each is waited for.
    pub(crate) missing: BTreeMap<WantedList, Instant>,
}

/// A list of a server, and the era in which the server is asked for it.
pub(crate) type WantedList = (Arc<str>, Era, ListKind);

/// What is done when the lists are there.
#[derive(Debug)]
pub(crate) enum AfterLists {
    /// The list is the answer.
    Answer(ListKind),
    /// The message is routed: the owner of a resource or of a cut name was not known.
    Route(Message),
}

impl ListAggregations {
    pub(crate) fn add(&mut self, gathering: ListAggregation) {
        self.waiting.push(gathering);
    }

    pub(crate) fn remove_call(&mut self, call: CallId) {
        self.waiting.retain(|waiting| waiting.call != call);
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.waiting.retain(|waiting| waiting.call.client != client);
    }

    /// Whether a request waits for this list.
    pub(crate) fn wait_for(&self, list: &WantedList) -> bool {
        self.waiting.iter().any(|waiting| waiting.missing.contains_key(list))
    }

    /// Lets no request wait for this list any more. Returns the clients that wanted the list itself.
    pub(crate) fn stop_waiting(&mut self, list: &WantedList) -> Vec<ClientId> {
        let mut clients = Vec::new();
        for waiting in &mut self.waiting {
            let has_waited = waiting.missing.remove(list).is_some();
            if has_waited && matches!(waiting.then, AfterLists::Answer(_)) {
                clients.push(waiting.call.client);
            }
        }
        clients
    }

    /// Lets the requests that wait for a list in one era wait for it in the other.
    pub(crate) fn move_list(&mut self, (server, from, kind): (&Arc<str>, Era, ListKind), to: Era) {
        for waiting in &mut self.waiting {
            if let Some(until) = waiting.missing.remove(&(server.clone(), from, kind)) {
                waiting.missing.insert((server.clone(), to, kind), until);
            }
        }
    }

    /// Takes the requests that have all their lists, or have waited for long enough.
    pub(crate) fn take_finished(&mut self, time: Instant) -> Vec<ListAggregation> {
        let is_finished =
            |waiting: &mut ListAggregation| waiting.missing.values().all(|deadline| *deadline <= time);
        self.waiting.extract_if(.., is_finished).collect()
    }

    /// When the first of the requests ends without what is missing.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // A request ends when the last of what it waits for is given up.
        self.waiting.iter().filter_map(|waiting| waiting.missing.values().max().copied()).min()
    }

    /// Whether one more message may wait for the lists that say where it belongs.
    pub(crate) fn has_room(&self, client: ClientId, message: &Message) -> bool {
        let (mut own, mut bytes) = (0, message.bytes().len());
        for waiting in &self.waiting {
            if let AfterLists::Route(message) = &waiting.then {
                own += usize::from(waiting.call.client == client);
                bytes += message.bytes().len();
            }
        }
        own < MAX_UNROUTED_MESSAGES && bytes <= MAX_UNROUTED_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
