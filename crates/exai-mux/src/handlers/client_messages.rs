//! What clients say.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind as Shape, Message, answer};

use crate::limits::MAX_REQUESTS_PER_CLIENT;
use crate::router::Router;
use crate::router::now::Now;
use crate::types::ids::{ClientId, Endpoint, number};

impl Router {
    pub(crate) fn from_client(&mut self, client: ClientId, message: Message, now: &mut Now<'_>) {
        if !self.clients.contains(client) {
            return;
        }
        match message.kind().clone() {
            Shape::Request { id, method, params } => {
                self.client_request(client, message, &id, &method, params.as_ref(), now);
            }
            Shape::Notification { method, .. } => {
                self.client_notification(client, &message, &method, now);
            }
            Shape::Response { id, .. } => self.client_response(client, &message, &id, now),
        }
    }

    fn client_request(
        &mut self,
        client_id: ClientId,
        message: Message,
        id: &Range<usize>,
        method: &Range<usize>,
        params: Option<&Range<usize>>,
        now: &mut Now<'_>,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.calls += 1;
        let own_id = Id::from_json(message.at(id));
        let method = message.str_at(method);
        if Router::answer_itself(client_id, &own_id, method, now) {
            return;
        }
        if method == "initialize" {
            return self.introduce(client_id, &message, own_id, params, now);
        }
        if client.introduction().is_none() {
            return now.refuse(client_id, &own_id, -32600, "the first request must be initialize");
        }
        if client.in_flight >= MAX_REQUESTS_PER_CLIENT {
            return now.overloaded(client_id, &own_id, None, "1024 requests of this client are under way");
        }
        match client.endpoint.clone() {
            Endpoint::One(server) => self.to_instance_of(client_id, &server, message, now),
            Endpoint::All => self.aggregate_request(client_id, message, now),
        }
    }

    /// Answers what needs neither a server nor a session. Returns whether it was that.
    pub(crate) fn answer_itself(client: ClientId, id: &Id, method: &str, now: &mut Now<'_>) -> bool {
        match method {
            "ping" => now.answer(client, id.clone(), answer::result(id, b"{}")),
            // Modern clients ask this first; an unknown method sends them on to `initialize`.
            "server/discover" => {
                now.refuse(client, id, -32601, "Method not found: server/discover");
            }
            _ => return false,
        }
        true
    }

    fn client_notification(
        &mut self,
        client_id: ClientId,
        message: &Message,
        method: &Range<usize>,
        now: &mut Now<'_>,
    ) {
        let method = message.str_at(method);
        let Some(params) = message.params() else {
            return tracing::debug!(%client_id, method, "dropped: {AMBIGUOUS}");
        };
        match method {
            // The router said it to the server when it initialised it.
            "notifications/initialized" => {}
            "notifications/cancelled" => self.client_cancels(client_id, message, params, now),
            "notifications/progress" => {
                // Progress on something a server asked of this client.
                let Some(place) = params.progress_token.clone() else { return };
                let Some(number) = number(message.at(&place)) else { return };
                let question = self.questions.find_question(client_id, number);
                if let Some((instance, token)) =
                    question.and_then(|question| Some((question.instance, question.token.as_ref()?)))
                {
                    let with = token.as_json().to_vec();
                    now.to_server(instance, message.edited(vec![Edit { at: place, with }]));
                }
            }
            _ => {
                let Some(client) = self.clients.get(client_id) else { return };
                for (_, instance) in &client.attached {
                    if self.instances.get(*instance).is_some_and(|instance| instance.ready().is_some()) {
                        now.to_server(*instance, message.bytes().clone());
                    }
                }
            }
        }
    }

    /// The answer to something a server asked.
    fn client_response(&mut self, client: ClientId, message: &Message, id: &Range<usize>, now: &mut Now<'_>) {
        let Some(number) = number(message.at(id)) else { return };
        let Some(question) = self.questions.take_question(client, number) else {
            return tracing::debug!(%client, number, "an answer to nothing that was asked was dropped");
        };
        let with = question.id.as_json().to_vec();
        now.to_server(question.instance, message.edited(vec![Edit { at: id.clone(), with }]));
    }
}
