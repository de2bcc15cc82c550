//! The messages of clients.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, answer};

use crate::dialect::legacy::{self, ClientNotification};
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::MAX_REQUESTS_PER_CLIENT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::questions::QuestionOrigin;
use crate::types::ids::{ClientId, Endpoint, number};
use crate::types::method::Method;

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
        let method = legacy::read_method(message.str_at(method));
        if Router::answer_itself(client_id, &own_id, method, cx) {
            return;
        }
        if method == Method::Initialize {
            let context = legacy::read_initialize(&message, params.cloned());
            return self.handle_initialize(client_id, context, own_id, cx);
        }
        let Some(context) = client.context().cloned() else {
            return cx.refuse(client_id, &own_id, -32600, "the first request must be initialize");
        };
        if self.calls.count_wanted(client_id) >= MAX_REQUESTS_PER_CLIENT {
            return cx.overloaded(client_id, &own_id, None, "1024 requests of this client are under way");
        }
        let endpoint = client.endpoint.clone();
        let request = QueuedRequest::new(self.calls.add_call(client_id, own_id, context), message);
        match endpoint {
            Endpoint::One(server) => self.send_to_server(&server, request, cx),
            Endpoint::All => self.route_aggregated_request(request, cx),
        }
    }

    /// Answers a request that needs neither a server nor a session. Returns whether the request was such a one.
    pub(crate) fn answer_itself(
        client: ClientId,
        id: &Id,
        method: Method,
        cx: &mut EventContext<'_>,
    ) -> bool {
        match method {
            Method::Ping => cx.answer(client, id.clone(), answer::result(id, b"{}")),
            // Modern clients ask this first. An unknown method sends them on to `initialize`.
            Method::Discover => {
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
        match legacy::read_client_notification(method) {
            // The router has sent this notification to the server already.
            ClientNotification::Initialized => {}
            ClientNotification::Cancelled => self.cancel_client_request(client_id, message, params, cx),
            ClientNotification::Progress => {
                // Progress of a question that a server has asked this client.
                let Some(place) = params.progress_token.clone() else { return };
                let Some(number) = number(message.at(&place)) else { return };
                let Some(question) = self.questions.find_question(client_id, number) else { return };
                let QuestionOrigin::Server { instance, token: Some(token), .. } = &question.origin else {
                    return;
                };
                let with = token.as_json().to_vec();
                cx.send_to_server(*instance, message.edited(vec![Edit { at: place, with }]));
            }
            ClientNotification::Other => {
                let Some(client) = self.clients.get(client_id) else { return };
                for (_, instance) in &client.attached {
                    if self.instances.get(*instance).is_some_and(|instance| instance.ready().is_some()) {
                        cx.send_to_server(*instance, message.bytes().clone());
                    }
                }
            }
        }
    }

    /// Passes the answer to a question on to the server that has asked.
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
        let QuestionOrigin::Server { instance, id: own, .. } = question.origin;
        let with = own.as_json().to_vec();
        cx.send_to_server(instance, message.edited(vec![Edit { at: id.clone(), with }]));
    }
}
