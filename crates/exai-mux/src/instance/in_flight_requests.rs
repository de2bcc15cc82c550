//! The requests that an instance has got and not answered.

use std::time::Instant;

use crate::instance::request::{InFlightRequest, InternalRequest, Owner};
use crate::types::ids::{CallId, ClientId, MintedMap};
use crate::types::list_kind::ListKind;

/// The requests of one instance, by the number that the router has minted for each.
#[derive(Debug)]
pub(crate) struct InFlightRequests {
    by_number: MintedMap<u64, InFlightRequest>,
    next_number: u64,
}

impl Default for InFlightRequests {
    fn default() -> Self {
        InFlightRequests { by_number: MintedMap::default(), next_number: 1 }
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

    /// The calls that the instance works on.
    pub(crate) fn calls(&self) -> impl Iterator<Item = CallId> {
        self.by_number.values().filter_map(|request| match request.owner {
            Owner::Call(call) => Some(call),
            Owner::Router(_) => None,
        })
    }

    /// The clients that the instance works for, once for each request, with the call if the client still waits for the
    /// instance. A request whose client has left counts: the server may not have heard of that yet.
    pub(crate) fn charged_clients(&self) -> impl Iterator<Item = (ClientId, Option<CallId>)> {
        self.by_number.values().filter_map(|request| {
            let call = match request.owner {
                Owner::Call(call) => Some(call),
                Owner::Router(_) => None,
            };
            Some((request.charged_client?, call))
        })
    }

    /// The client of a request has left, and the server was told to cancel the request.
    pub(crate) fn disown_request(&mut self, number: u64, time: Instant) {
        if let Some(request) = self.by_number.get_mut(&number) {
            request.expect_no_answer(time);
            request.owner = Owner::Router(InternalRequest::Cancelled);
        }
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
            Owner::Router(_) | Owner::Call(_) => None,
        })
    }

    /// The only request, if there is one: an answer that does not say whose it is can be for no other.
    pub(crate) fn sole_request(&self) -> Option<u64> {
        let mut numbers = self.by_number.keys();
        numbers.next().copied().filter(|_| numbers.next().is_none())
    }
}
