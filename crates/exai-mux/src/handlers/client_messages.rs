//! The messages of clients.

use std::ops::Range;

use exai_proto::envelope::Outcome;
use exai_proto::json::Edit;
use exai_proto::modern::PROTOCOL_VERSION;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, answer};

use crate::dialect::legacy::{self, ClientNotification};
use crate::handlers::era_refusals::refuse_method;
use crate::instance::Instance;
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::MAX_REQUESTS_PER_CLIENT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::questions::QuestionOrigin;
use crate::types::era::Era;
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
            Kind::Response { id, outcome } => {
                self.handle_client_response(client, &message, (&id, &outcome), cx);
            }
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
        let method_name = message.str_at(method);
        let method = legacy::read_method(method_name);
        if method != Method::Initialize && message.params().is_none() {
            return cx.refuse(client_id, &own_id, -32602, AMBIGUOUS);
        }
        let context = if method == Method::Initialize {
            // Clients send `initialize` also after a `server/discover` that was answered.
            let context = legacy::read_initialize(&message, params.cloned());
            let is_modern = message.params().is_some_and(|params| params.modern.version.is_some());
            if context.is_none() && is_modern {
                return refuse_method(client_id, &own_id, method_name, cx);
            }
            return self.handle_initialize(client_id, context, own_id, cx);
        } else if let Some(params) = message.params().filter(|params| params.modern.version.is_some()) {
            let context = self.read_modern_context(client_id, &message, (&own_id, params), cx);
            let Some(context) = context else { return };
            match method {
                Method::Discover => return self.handle_discover(client_id, &context, own_id, cx),
                Method::Ping | Method::SetLogLevel | Method::Subscribe | Method::Unsubscribe => {
                    return refuse_method(client_id, &own_id, method_name, cx);
                }
                Method::Listen if self.can_answer_listen(client_id) => {
                    return self.handle_listen(client_id, &context, (&message, params), own_id, cx);
                }
                _ => context,
            }
        } else {
            if Router::answer_itself(client_id, &own_id, method, cx) {
                return;
            }
            let Some(context) = client.context().cloned() else {
                return cx.refuse(client_id, &own_id, -32600, "the first request must be initialize");
            };
            context
        };
        let Some(client) = self.clients.get(client_id) else { return };
        if self.calls.count_wanted(client_id) >= MAX_REQUESTS_PER_CLIENT {
            return cx.overloaded(client_id, &own_id, None, "1024 requests of this client are under way");
        }
        let endpoint = client.endpoint.clone();
        if matches!(endpoint, Endpoint::Several(_)) && self.refuse_without_servers(client_id, &own_id, cx) {
            return;
        }
        let era = context.era;
        let call = self.calls.add_call(client_id, own_id, (context, method));
        let request = QueuedRequest::new(call, era, message);
        match endpoint {
            Endpoint::One(server) => self.send_to_server(&server, request, cx),
            Endpoint::All | Endpoint::Several(_) => self.route_aggregated_request(request, cx),
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
            // It belongs to the modern era, and says nothing of that.
            Method::Discover | Method::Listen => {
                cx.refuse(client, id, -32602, &format!("Invalid params: `_meta` needs {PROTOCOL_VERSION}"));
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
                let has_session = client.context().is_some();
                for one in client.attached.iter().filter(|one| has_session && one.of == Era::Legacy) {
                    let said = self.instances.get(one.instance).and_then(Instance::ready);
                    if said.is_some_and(|said| said.era == Era::Legacy) {
                        cx.send_to_server(one.instance, message.bytes().clone());
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
        (id, outcome): (&Range<usize>, &Outcome),
        cx: &mut EventContext<'_>,
    ) {
        let Some(number) = number(message.at(id)) else { return };
        let Some(question) = self.questions.take_question(client, number) else {
            return tracing::debug!(%client, number, "an answer to nothing that was asked was dropped");
        };
        match question.origin {
            QuestionOrigin::Server { instance, id: own, .. } => {
                let with = own.as_json().to_vec();
                cx.send_to_server(instance, message.edited(vec![Edit { at: id.clone(), with }]));
            }
            QuestionOrigin::Input { call, key, method } => {
                self.take_input((call, key, &method), (message, outcome), cx);
            }
        }
    }
}
