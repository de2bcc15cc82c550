//! What clients say.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, answer};

use crate::limits::MAX_REQUESTS_PER_CLIENT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::ids::{ClientId, Endpoint, number};

impl Router {
    pub(crate) fn from_client(&mut self, client: ClientId, message: Message, cx: &mut EventContext<'_>) {
        if !self.clients.contains(client) {
            return;
        }
        match message.kind().clone() {
            Kind::Request { id, method, params } => {
                self.handle_client_request(client, message, &id, &method, params.as_ref(), cx);
            }
            Kind::Notification { method, .. } => {
                self.handle_client_notification(client, &message, &method, cx);
            }
            Kind::Response { id, .. } => self.handle_client_response(client, &message, &id, cx),
        }
    }

    fn handle_client_request(
        &mut self,
        client_id: ClientId,
        message: Message,
        id: &Range<usize>,
        method: &Range<usize>,
        params: Option<&Range<usize>>,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.calls += 1;
        let own_id = Id::from_json(message.at(id));
        let method = message.str_at(method);
        if Router::answer_itself(client_id, &own_id, method, cx) {
            return;
        }
        if method == "initialize" {
            return self.handle_initialize(client_id, &message, own_id, params, cx);
        }
        if client.initialize_params().is_none() {
            return cx.refuse(client_id, &own_id, -32600, "the first request must be initialize");
        }
        if client.in_flight >= MAX_REQUESTS_PER_CLIENT {
            return cx.overloaded(client_id, &own_id, None, "1024 requests of this client are under way");
        }
        match client.endpoint.clone() {
            Endpoint::One(server) => self.route_to_server(client_id, &server, message, cx),
            Endpoint::All => self.route_aggregated_request(client_id, message, cx),
        }
    }

    /// Answers what needs neither a server nor a session. Returns whether it was that.
    pub(crate) fn answer_itself(client: ClientId, id: &Id, method: &str, cx: &mut EventContext<'_>) -> bool {
        match method {
            "ping" => cx.answer(client, id.clone(), answer::result(id, b"{}")),
            // Modern clients ask this first; an unknown method sends them on to `initialize`.
            "server/discover" => {
                cx.refuse(client, id, -32601, "Method not found: server/discover");
            }
            _ => return false,
        }
        true
    }

    fn handle_client_notification(
        &mut self,
        client_id: ClientId,
        message: &Message,
        method: &Range<usize>,
        cx: &mut EventContext<'_>,
    ) {
        let method = message.str_at(method);
        let Some(params) = message.params() else {
            return tracing::debug!(%client_id, method, "dropped: {AMBIGUOUS}");
        };
        match method {
            // The router said it to the server when it initialised it.
            "notifications/initialized" => {}
            "notifications/cancelled" => self.cancel_client_request(client_id, message, params, cx),
            "notifications/progress" => {
                // Progress on something a server asked of this client.
                let Some(place) = params.progress_token.clone() else { return };
                let Some(number) = number(message.at(&place)) else { return };
                let question = self.questions.find_question(client_id, number);
                if let Some((instance, token)) =
                    question.and_then(|question| Some((question.instance, question.token.as_ref()?)))
                {
                    let with = token.as_json().to_vec();
                    cx.send_to_server(instance, message.edited(vec![Edit { at: place, with }]));
                }
            }
            _ => {
                let Some(client) = self.clients.get(client_id) else { return };
                for (_, instance) in &client.attached {
                    if self.instances.get(*instance).is_some_and(|instance| instance.ready().is_some()) {
                        cx.send_to_server(*instance, message.bytes().clone());
                    }
                }
            }
        }
    }

    /// The answer to something a server asked.
    fn handle_client_response(
        &mut self,
        client: ClientId,
        message: &Message,
        id: &Range<usize>,
        cx: &mut EventContext<'_>,
    ) {
        let Some(number) = number(message.at(id)) else { return };
        let Some(question) = self.questions.take_question(client, number) else {
            return tracing::debug!(%client, number, "an answer to nothing that was asked was dropped");
        };
        let with = question.id.as_json().to_vec();
        cx.send_to_server(question.instance, message.edited(vec![Edit { at: id.clone(), with }]));
    }
}
