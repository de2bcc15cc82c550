//! The requests of clients that have not been answered: each is a [`Call`], wherever it is.

use std::sync::Arc;

use exai_proto::{Id, Message};

use crate::instance::fair_queue::QueuedRequest;
use crate::router::on_success::OnSuccess;
use crate::types::client_context::ClientContext;
use crate::types::ids::{CallId, ClientId, InstanceId, MintedMap};
use crate::types::method::Method;

/// All calls, by client.
///
/// A call is added when a request is routed, and finished in the event in which the client is answered. `initialize` is
/// no call: it cannot be cancelled, and is not bounded (see [`crate::instance::start_queue::Waiting`]).
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next_number: u64,
    of_clients: MintedMap<ClientId, ClientCalls>,
}

#[derive(Debug, Default)]
struct ClientCalls {
    by_number: MintedMap<u64, Call>,
    /// How many of these the client has not cancelled.
    wanted: u32,
}

/// One request of a client, from its arrival to its answer. It may be sent to several instances one after the other:
/// each time is a leg.
#[derive(Debug)]
pub(crate) struct Call {
    /// The id that the client has given the request. Two calls of a client may have the same id.
    pub(crate) id: Id,
    /// What was true of the client when the request came.
    pub(crate) context: Arc<ClientContext>,
    /// What the request asks for.
    pub(crate) method: Method,
    /// The progress token that the client has given the request. Known when the first leg has begun.
    pub(crate) token: Option<Id>,
    /// What a successful answer to the present leg means for the router.
    pub(crate) on_success: OnSuccess,
    /// The request as the client has sent it, where it may have to be made again with further input.
    pub(crate) request: Option<Message>,
    /// The request of the present leg before it was translated to the era of the server. `None` if it was not.
    pub(crate) untranslated: Option<QueuedRequest>,
    /// How often further input was needed.
    pub(crate) input_rounds: u8,
    /// The servers that do not have the resource that is to be read. They had earlier legs.
    pub(crate) tried: Vec<Arc<str>>,
    pub(crate) state: CallState,
    is_cancelled: bool,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallState {
    /// The event that is worked on decides where the call goes.
    Routing,
    /// The router asks servers for lists; then the call is answered, or goes on.
    AwaitingLists,
    /// The client is asked for what the server needs before it goes on.
    AwaitingInput,
    /// Somebody must sign in at the server before the call goes on.
    AwaitingSignIn,
    /// The call waits for the start of an instance, or for its turn there.
    Queued(InstanceId),
    /// An instance works on the call, which has this number there.
    Leg { instance: InstanceId, number: u64 },
}

impl Call {
    /// Whether the client has cancelled the call. What the server still says about the call is passed on for a while.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }
}

impl Calls {
    pub(crate) fn add_call(
        &mut self,
        client: ClientId,
        id: Id,
        (context, method): (Arc<ClientContext>, Method),
    ) -> CallId {
        let number = self.next_number;
        self.next_number += 1;
        let call = Call {
            id,
            context,
            method,
            token: None,
            on_success: OnSuccess::Nothing,
            request: None,
            untranslated: None,
            input_rounds: 0,
            tried: Vec::new(),
            state: CallState::Routing,
            is_cancelled: false,
        };
        let of_client = self.of_clients.entry(client).or_default();
        of_client.by_number.insert(number, call);
        of_client.wanted += 1;
        CallId { client, number }
    }

    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.of_clients.get(&id.client)?.by_number.get(&id.number)
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.of_clients.get_mut(&id.client)?.by_number.get_mut(&id.number)
    }

    /// Notes where a call is.
    pub(crate) fn move_call(&mut self, id: CallId, state: CallState) {
        if let Some(call) = self.get_mut(id) {
            call.state = state;
        }
    }

    /// Takes a call that is over.
    pub(crate) fn finish_call(&mut self, id: CallId) -> Option<Call> {
        let of_client = self.of_clients.get_mut(&id.client)?;
        let call = of_client.by_number.remove(&id.number)?;
        of_client.wanted -= u32::from(!call.is_cancelled);
        Some(call)
    }

    /// The client no longer wants the answer to a call that an instance works on.
    pub(crate) fn cancel_call(&mut self, id: CallId) {
        let Some(of_client) = self.of_clients.get_mut(&id.client) else { return };
        let Some(call) = of_client.by_number.get_mut(&id.number) else { return };
        of_client.wanted -= u32::from(!call.is_cancelled);
        call.is_cancelled = true;
    }

    /// The oldest call to which a client has given this id, and whose answer the client still wants.
    pub(crate) fn find_wanted(&self, client: ClientId, id: &Id) -> Option<CallId> {
        let calls = &self.of_clients.get(&client)?.by_number;
        let is_it = |call: &Call| !call.is_cancelled && call.id == *id;
        let numbers = calls.iter().filter(|(_, call)| is_it(call)).map(|(&number, _)| number);
        numbers.min().map(|number| CallId { client, number })
    }

    /// Whether the client still wants the answer to a call.
    pub(crate) fn is_wanted(&self, id: CallId) -> bool {
        self.get(id).is_some_and(|call| !call.is_cancelled)
    }

    /// How many answers a client waits for.
    pub(crate) fn count_wanted(&self, client: ClientId) -> u32 {
        self.of_clients.get(&client).map_or(0, |of_client| of_client.wanted)
    }

    /// Whether any client waits for an answer.
    pub(crate) fn has_wanted(&self) -> bool {
        self.of_clients.values().any(|of_client| of_client.wanted > 0)
    }

    /// The calls of a client that an instance works on, oldest first, each with its number there.
    pub(crate) fn legs_between(&self, client: ClientId, instance: InstanceId) -> Vec<(CallId, u64)> {
        let calls = self.of_clients.get(&client).into_iter().flat_map(|of_client| &of_client.by_number);
        let mut legs: Vec<(CallId, u64)> = calls
            .filter_map(|(&number, call)| match call.state {
                CallState::Leg { instance: at, number: leg } if at == instance => {
                    Some((CallId { client, number }, leg))
                }
                _ => None,
            })
            .collect();
        legs.sort_unstable();
        legs
    }

    /// The instances that work on calls of a client.
    pub(crate) fn instances_of(&self, client: ClientId) -> impl Iterator<Item = InstanceId> {
        let calls =
            self.of_clients.get(&client).into_iter().flat_map(|of_client| of_client.by_number.values());
        calls.filter_map(|call| match call.state {
            CallState::Leg { instance, .. } => Some(instance),
            CallState::Routing
            | CallState::AwaitingLists
            | CallState::AwaitingSignIn
            | CallState::AwaitingInput
            | CallState::Queued(_) => None,
        })
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.of_clients.remove(&client);
    }

    pub(crate) fn len(&self) -> usize {
        self.of_clients.values().map(|of_client| of_client.by_number.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::era::Era;

    fn add(calls: &mut Calls, client: ClientId, id: &Id) -> CallId {
        let context = ClientContext {
            era: Era::Legacy,
            version: String::new(),
            capabilities: "{}".into(),
            can: BTreeMap::new(),
            name: None,
            build: None,
            client_info: None,
            level: None,
        };
        calls.add_call(client, id.clone(), (context.into(), Method::Other))
    }

    #[test]
    fn two_calls_with_one_id_are_cancelled_one_after_the_other() {
        let (mut calls, client, id) = (Calls::default(), ClientId(1), Id::number(7));
        let (first, second) = (add(&mut calls, client, &id), add(&mut calls, client, &id));
        add(&mut calls, ClientId(2), &id);
        assert_eq!(calls.find_wanted(client, &id), Some(first));
        calls.cancel_call(first);
        calls.cancel_call(first);
        assert_eq!((calls.find_wanted(client, &id), calls.count_wanted(client)), (Some(second), 1));
        assert!(calls.finish_call(first).is_some_and(|call| call.is_cancelled()));
        assert!(calls.finish_call(first).is_none() && calls.is_wanted(second));
        assert!(calls.finish_call(second).is_some_and(|call| !call.is_cancelled()));
        assert_eq!((calls.count_wanted(client), calls.len()), (0, 1));
        calls.forget_client(ClientId(2));
        assert!(!calls.has_wanted() && calls.len() == 0);
    }

    #[test]
    fn the_legs_at_one_instance_are_found_in_order() {
        let (mut calls, client) = (Calls::default(), ClientId(1));
        let leg = |instance, number| CallState::Leg { instance: InstanceId(instance), number };
        let states =
            [leg(1, 5), leg(2, 1), CallState::Queued(InstanceId(1)), CallState::AwaitingLists, leg(1, 3)];
        let ids = states.map(|state| {
            let id = add(&mut calls, client, &Id::number(0));
            calls.move_call(id, state);
            id
        });
        assert_eq!(calls.legs_between(client, InstanceId(1)), [(ids[0], 5), (ids[4], 3)]);
        assert_eq!(calls.legs_between(ClientId(2), InstanceId(1)), []);
    }
}
