//! Which client a question of a server goes to. The router never guesses.

use std::borrow::Cow;

use crate::client::Client;
use crate::instance::Instance;
use crate::instance::request::Owner;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::capability::ClientCapability;
use crate::types::ids::{CallId, ClientId, InstanceId, number};

/// The answer to a question that no client will answer.
pub(crate) const GONE: &str = "the client that was asked is gone";

/// The client that a question goes to.
pub(crate) struct Recipient {
    pub(crate) client: ClientId,
    /// The request that the question belongs to, if that is known.
    pub(crate) call: Option<CallId>,
}

/// The error that a server gets in the place of an answer to its question.
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(code: i32, text: impl Into<Cow<'static, str>>) -> Self {
        Refusal { code, text: text.into() }
    }
}

impl Router {
    /// The client of the request that a question names by the number that the server knows it by. The server says whom
    /// it means, so the question tells nothing about how its clients may share it.
    pub(crate) fn find_named_recipient(
        &self,
        instance: InstanceId,
        named: &[u8],
    ) -> Result<Recipient, Refusal> {
        let request = number(named)
            .and_then(|number| self.instances.get(instance)?.in_flight.get(number))
            .and_then(|request| match request.owner {
                Owner::Call(call) if self.calls.is_wanted(call) => Some(call),
                Owner::Call(_) | Owner::Router(_) => None,
            })
            .filter(|call| self.calls.get(*call).is_some());
        let Some(call) = request else {
            let text =
                "no client of this server waits for the answer to the request that `exai/request` names";
            return Err(Refusal::new(-32602, text));
        };
        Ok(Recipient { client: call.client, call: Some(call) })
    }

    /// The only client that a question which names no request can be meant for. Notes that the server asks.
    pub(crate) fn find_unnamed_recipient(
        &mut self,
        instance_id: InstanceId,
        method: &str,
        cx: &mut EventContext<'_>,
    ) -> Result<Recipient, Refusal> {
        self.note_server_requests(instance_id, ClientCapability::of_method(method), cx);
        let sole = self.instances.get(instance_id).and_then(|instance| self.find_sole_client(instance));
        if let Some((client, call)) = sole {
            return Ok(Recipient { client, call });
        }
        // If the server works for several clients, it gets the requests of one at a time from now on, so that its next
        // question is clear.
        if let Some(instance) = self.instances.get_mut(instance_id)
            && instance.fair_queue.serves_several()
        {
            instance.fair_queue.make_exclusive();
        }
        let text =
            "exai cannot tell which client this request is meant for; share = \"client\" gives each its own";
        Err(Refusal::new(-32603, text))
    }

    /// The client that a message of the server must be meant for: the only client that the server works for, or the
    /// only client of an instance that works for none. With it comes the call, if there is one call only.
    /// `None` if it cannot be known: the router never guesses.
    pub(crate) fn find_sole_client(&self, instance: &Instance) -> Option<(ClientId, Option<CallId>)> {
        // A call that was cancelled counts: the server may not have heard of that yet.
        let mut charged = instance.in_flight.charged_clients();
        let Some((sole, first)) = charged.next() else {
            return if let [only] = instance.clients[..] { Some((only, None)) } else { None };
        };
        let wanted = |call: Option<CallId>| call.filter(|call| self.calls.is_wanted(*call));
        let (mut call, mut waits, mut alone) = (wanted(first), wanted(first).is_some(), true);
        for (client, other) in charged {
            if client != sole {
                return None;
            }
            alone = false;
            waits |= wanted(other).is_some();
        }
        call = call.filter(|_| alone);
        // A client that has left, or has cancelled all it wanted, is not asked.
        waits.then_some((sole, call))
    }

    /// Whether a question may be put to a client.
    pub(crate) fn check_question(&self, client_id: ClientId, method: &str) -> Result<(), Refusal> {
        let client = self.clients.get(client_id);
        let can = client.and_then(Client::context).map(|said| &said.can);
        // A client can itself answer a method that exai does not know.
        if let [ask] = ClientCapability::of_method(method)
            && can.is_some_and(|can| !can.contains_key(ask))
        {
            let text = format!("Method not found: the client cannot do {method}");
            return Err(Refusal::new(-32601, text));
        }
        if client.is_none() {
            return Err(Refusal::new(-32603, GONE));
        }
        if !self.questions.has_room(client_id) {
            return Err(Refusal::new(-32603, "the client has not answered a thousand earlier requests"));
        }
        Ok(())
    }
}
