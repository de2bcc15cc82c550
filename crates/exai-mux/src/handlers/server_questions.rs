//! The requests of servers: sampling, elicitation, roots.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Message, answer};

use crate::client::Client;
use crate::router::Router;
use crate::router::now::Now;
use crate::router::questions::Question;
use crate::types::capability::Ask;
use crate::types::effect::About;
use crate::types::ids::{ClientId, InstanceId};

/// What a server is told whose question nobody answers any more.
const GONE: &str = "the client that was asked is gone";

impl Router {
    /// A request of the server: sampling, elicitation, roots. It goes to the only client it can be meant
    /// for; if that cannot be known, the server is told so. Nobody is ever asked in another's place.
    pub(crate) fn server_asks(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        method: &Range<usize>,
        now: &mut Now<'_>,
    ) {
        let own = Id::from_json(message.at(id));
        if message.str_at(method) == "ping" {
            return now.to_server(instance_id, answer::result(&own, b"{}"));
        }
        let Some(params) = message.params() else {
            tracing::debug!(?instance_id, method = message.str_at(method), "refused: {AMBIGUOUS}");
            return now.to_server(instance_id, answer::error(&own, -32602, AMBIGUOUS));
        };
        let asks = Ask::of_method(message.str_at(method));
        self.note_asks(instance_id, asks, now);
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Some((client_id, request)) = instance.sole_client() else {
            // Never a guess. If several wait for it, it will be known from now on whom it means.
            if instance.lanes.serves_several() {
                instance.lanes.make_exclusive();
            }
            let text = "exai cannot tell which client this request is meant for; share = \"client\" gives each its own";
            return now.to_server(instance_id, answer::error(&own, -32603, text));
        };
        let client = self.clients.get(client_id);
        let can = client.and_then(Client::introduction).map(|said| &said.can);
        // What exai does not know the client can answer for itself.
        if let [ask] = asks
            && can.is_some_and(|can| !can.contains_key(ask))
        {
            let text = format!("Method not found: the client cannot do {}", message.str_at(method));
            return now.to_server(instance_id, answer::error(&own, -32601, &text));
        }
        if client.is_none() {
            return now.to_server(instance_id, answer::error(&own, -32603, GONE));
        }
        if !self.questions.has_room(client_id) {
            let text = "the client has not answered a thousand earlier requests";
            return now.to_server(instance_id, answer::error(&own, -32603, text));
        }
        let token = params.token.clone();
        let own_token = token.as_ref().map(|token| Id::from_json(message.at(token)));
        let question = Question { instance: instance_id, id: own, token: own_token };
        let number = self.questions.add_question(client_id, question);
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit { at: id.clone(), with: digits.clone() }];
        edits.extend(token.map(|at| Edit { at, with: digits }));
        let about = request.map_or(About::Session, About::During);
        now.to_client(client_id, message.edited(edits), about);
    }

    /// Tells a server that a client will not answer any more.
    pub(crate) fn unanswerable(&mut self, client: ClientId, instance: InstanceId, now: &mut Now<'_>) {
        for question in self.questions.take_between(client, instance) {
            now.to_server(instance, answer::error(&question.id, -32603, GONE));
        }
    }
}
