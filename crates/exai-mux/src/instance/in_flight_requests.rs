//! The requests that an instance has got and not answered.

use std::collections::HashMap;
use std::time::Instant;

use exai_proto::Id;

use crate::instance::request::{InFlightRequest, InternalRequest, Owner};
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;

/// The requests of one instance, by the number that the router has minted for each.
#[derive(Debug)]
pub(crate) struct InFlightRequests {
    by_number: HashMap<u64, InFlightRequest>,
    next_number: u64,
}

/// For which client an instance works.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WorksFor {
    /// It works for none.
    None,
    /// It works for this client alone, on this request alone if it is named.
    One(ClientId, Option<Id>),
    /// It works for several, or for a client that no longer wants anything of it.
    Unclear,
}

impl Default for InFlightRequests {
    fn default() -> Self {
        InFlightRequests { by_number: HashMap::new(), next_number: 1 }
    }
}

impl InFlightRequests {
    /// A number that no other request of the instance has or will have.
    pub(crate) fn mint_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn insert(&mut self, number: u64, request: InFlightRequest) {
        self.by_number.insert(number, request);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<InFlightRequest> {
        self.by_number.remove(&number)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&InFlightRequest> {
        self.by_number.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut InFlightRequest> {
        self.by_number.get_mut(&number)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// All requests, in the order in which they were sent.
    pub(crate) fn into_ordered(self) -> Vec<InFlightRequest> {
        let mut all: Vec<_> = self.by_number.into_iter().collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, request)| request).collect()
    }

    /// Whether a client waits for an answer.
    pub(crate) fn has_wanted(&self) -> bool {
        self.by_number.values().any(|request| request.wanted_by().is_some())
    }

    /// Cancels the request of a client with this id. Returns its number. The request stays for a while: what the server
    /// still answers is passed on, as without exai.
    pub(crate) fn cancel_request(&mut self, client: ClientId, id: &Id, time: Instant) -> Option<u64> {
        let is_it = |request: &InFlightRequest| {
            matches!(&request.owner, Owner::Client { client: owner, id: own, cancelled: false, .. }
                if *owner == client && own == id)
        };
        let (number, request) = self.by_number.iter_mut().find(|(_, request)| is_it(request))?;
        request.cancel(time);
        Some(*number)
    }

    /// No client waits for the requests of this client any more. Returns the number and the id of each, in the order in
    /// which they were sent, and whether it was cancelled before.
    pub(crate) fn abandon_client(&mut self, client: ClientId, time: Instant) -> Vec<(u64, Id, bool)> {
        let mut abandoned = Vec::new();
        for (&number, request) in &mut self.by_number {
            if let Owner::Client { client: owner, id, cancelled, .. } = &request.owner
                && *owner == client
            {
                abandoned.push((number, id.clone(), *cancelled));
                // A server that heeds the cancellation will not answer: its place must not be kept for that.
                request.cancel(time);
                request.owner = Owner::Router(InternalRequest::Cancelled);
            }
        }
        abandoned.sort_unstable_by_key(|(number, ..)| *number);
        abandoned
    }

    /// The requests that have not been answered in time, in the order in which they were sent.
    pub(crate) fn find_late(&self, time: Instant) -> Vec<u64> {
        let is_late = |request: &InFlightRequest| request.deadline <= time;
        let late = self.by_number.iter().filter(|(_, request)| is_late(request));
        let mut late: Vec<u64> = late.map(|(&number, _)| number).collect();
        late.sort_unstable();
        late
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_number.values().map(|request| request.deadline).min()
    }

    /// When the server was asked for a list that has not come.
    pub(crate) fn list_since(&self, kind: ListKind) -> Option<Instant> {
        self.by_number.values().find_map(|request| match &request.owner {
            Owner::Router(InternalRequest::List { kind: other, asked, .. }) if *other == kind => Some(*asked),
            Owner::Router(_) | Owner::Client { .. } => None,
        })
    }

    /// The only request, if there is one: an answer that does not say whose it is can be for no other.
    pub(crate) fn sole_request(&self) -> Option<u64> {
        let mut numbers = self.by_number.keys();
        numbers.next().copied().filter(|_| numbers.next().is_none())
    }

    /// The client that the server works for. A request that was cancelled counts: the server may not have heard of that
    /// yet.
    pub(crate) fn works_for(&self) -> WorksFor {
        let mut charged =
            self.by_number.values().filter_map(|request| Some((request.charged_client?, request)));
        let Some((sole, first)) = charged.next() else { return WorksFor::None };
        let mut id = first.wanted_by().cloned();
        for (client, _) in charged {
            if client != sole {
                return WorksFor::Unclear;
            }
            id = None;
        }
        // A client that has left, or has cancelled all it wanted, is not asked.
        let waits =
            |request: &InFlightRequest| request.charged_client == Some(sole) && request.wanted_by().is_some();
        if self.by_number.values().any(waits) { WorksFor::One(sole, id) } else { WorksFor::Unclear }
    }
}
