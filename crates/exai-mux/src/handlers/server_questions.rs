//! The requests of servers: sampling, elicitation, roots.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Message, answer};

use crate::client::Client;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::questions::Question;
use crate::types::capability::Ask;
use crate::types::effect::About;
use crate::types::ids::{ClientId, InstanceId};

/// What a server is told whose question nobody answers any more.
const GONE: &str = "the client that was asked is gone";

impl Router {
    /// A request of the server: sampling, elicitation, roots. It goes to the only client it can be meant
    /// for; if that cannot be known, the server is told so. Nobody is ever asked in another's place.
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
        let asks = Ask::of_method(message.str_at(method));
        self.note_server_requests(instance_id, asks, cx);
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Some((client_id, request)) = instance.sole_client() else {
            // Never a guess. If several wait for it, it will be known from now on whom it means.
            if instance.fair_queue.serves_several() {
                instance.fair_queue.make_exclusive();
            }
            let text = "exai cannot tell which client this request is meant for; share = \"client\" gives each its own";
            return cx.send_to_server(instance_id, answer::error(&own, -32603, text));
        };
        let client = self.clients.get(client_id);
        let can = client.and_then(Client::initialize_params).map(|said| &said.can);
        // What exai does not know the client can answer for itself.
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
        let question = Question { instance: instance_id, id: own, token: own_token };
        let number = self.questions.add_question(client_id, question);
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit { at: id.clone(), with: digits.clone() }];
        edits.extend(token.map(|at| Edit { at, with: digits }));
        let about = request.map_or(About::Session, About::During);
        cx.send_to_client(client_id, message.edited(edits), about);
    }

    /// Tells a server that a client will not answer any more.
    pub(crate) fn decline_questions(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        for question in self.questions.take_between(client, instance) {
            cx.send_to_server(instance, answer::error(&question.id, -32603, GONE));
        }
    }
}
