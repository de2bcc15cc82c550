//! Questions of servers to clients: sampling, elicitation, roots.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Message, answer};

use crate::client::Client;
use crate::instance::Instance;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::questions::{Question, QuestionOrigin};
use crate::types::capability::ClientCapability;
use crate::types::effect::About;
use crate::types::ids::{CallId, ClientId, InstanceId};

/// The answer to a question that no client will answer.
const GONE: &str = "the client that was asked is gone";

impl Router {
    /// Passes a question on to the only client that it can be meant for. If that cannot be known, the server is told
    /// so. No client is ever asked in the place of another.
    pub(crate) fn handle_server_request(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        method: &Range<usize>,
        cx: &mut EventContext<'_>,
    ) {
        let own = Id::from_json(message.at(id));
        if message.str_at(method) == "ping" {
            return cx.send_to_server(instance_id, answer::result(&own, b"{}"));
        }
        let Some(params) = message.params() else {
            tracing::debug!(?instance_id, method = message.str_at(method), "refused: {AMBIGUOUS}");
            return cx.send_to_server(instance_id, answer::error(&own, -32602, AMBIGUOUS));
        };
        let asks = ClientCapability::of_method(message.str_at(method));
        self.note_server_requests(instance_id, asks, cx);
        let Some(instance) = self.instances.get(instance_id) else { return };
        let sole = self.find_sole_client(instance);
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Some((client_id, request)) = sole else {
            // The router never guesses. If the server works for several clients, it gets the requests of one at a
            // time from now on, so that its next question is clear.
            if instance.fair_queue.serves_several() {
                instance.fair_queue.make_exclusive();
            }
            let text = "exai cannot tell which client this request is meant for; share = \"client\" gives each its own";
            return cx.send_to_server(instance_id, answer::error(&own, -32603, text));
        };
        let client = self.clients.get(client_id);
        let can = client.and_then(Client::context).map(|said| &said.can);
        // A client can itself answer a method that exai does not know.
        if let [ask] = asks
            && can.is_some_and(|can| !can.contains_key(ask))
        {
            let text = format!("Method not found: the client cannot do {}", message.str_at(method));
            return cx.send_to_server(instance_id, answer::error(&own, -32601, &text));
        }
        if client.is_none() {
            return cx.send_to_server(instance_id, answer::error(&own, -32603, GONE));
        }
        if !self.questions.has_room(client_id) {
            let text = "the client has not answered a thousand earlier requests";
            return cx.send_to_server(instance_id, answer::error(&own, -32603, text));
        }
        let token = params.token.clone();
        let own_token = token.as_ref().map(|token| Id::from_json(message.at(token)));
        let origin = QuestionOrigin::Server { instance: instance_id, id: own, token: own_token };
        let number = self.questions.add_question(client_id, Question { origin });
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit { at: id.clone(), with: digits.clone() }];
        edits.extend(token.map(|at| Edit { at, with: digits }));
        let about = request.map_or(About::Session, About::During);
        cx.send_to_client(client_id, message.edited(edits), about);
    }

    /// The client that a message of the server must be meant for: the only client that the server works for, or the
    /// only client of an instance that works for none. With it comes the id of the call, if there is one call only.
    /// `None` if it cannot be known: the router never guesses.
    pub(crate) fn find_sole_client(&self, instance: &Instance) -> Option<(ClientId, Option<Id>)> {
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
        waits.then(|| (sole, call.and_then(|call| Some(self.calls.get(call)?.id.clone()))))
    }

    /// Tells a server that a client will not answer its questions any more.
    pub(crate) fn decline_questions(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        for question in self.questions.take_between(client, instance) {
            let QuestionOrigin::Server { id, .. } = question.origin;
            cx.send_to_server(instance, answer::error(&id, -32603, GONE));
        }
    }
}
