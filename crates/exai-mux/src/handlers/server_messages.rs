//! The messages of servers.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::{AMBIGUOUS, Params};
use exai_proto::{Id, Kind, Message};

use crate::dialect::legacy::{self, ServerNotification};
use crate::instance::request::Owner;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::ids::{InstanceId, number};
use crate::types::log_level::LogLevel;

impl Router {
    pub(crate) fn from_server(&mut self, instance: InstanceId, message: &Message, cx: &mut EventContext<'_>) {
        if !self.instances.contains(instance) {
            return;
        }
        match message.kind() {
            Kind::Response { id, outcome } => self.handle_answer(instance, message, id, outcome, cx),
            Kind::Notification { method, .. } => {
                self.handle_server_notification(instance, message, method, cx);
            }
            Kind::Request { id, method, .. } => {
                self.handle_server_request(instance, message, id, method, cx);
            }
        }
    }

    fn handle_server_notification(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        method: &Range<usize>,
        cx: &mut EventContext<'_>,
    ) {
        let method = message.str_at(method);
        let Some(params) = message.params() else {
            return tracing::debug!(?instance_id, method, "dropped: {AMBIGUOUS}");
        };
        match legacy::read_server_notification(method) {
            ServerNotification::Progress => self.forward_progress(instance_id, message, params, cx),
            ServerNotification::Cancelled => {
                // The server no longer wants an answer to its question.
                let Some(place) = params.request_id.clone() else { return };
                let unwanted = Id::from_json(message.at(&place));
                if let Some((client, number)) = self.questions.take_by_server_id(instance_id, &unwanted) {
                    let with = number.to_string().into_bytes();
                    let bytes = message.edited(vec![Edit { at: place, with }]);
                    cx.send_to_client(client, bytes, About::Session);
                }
            }
            ServerNotification::LogMessage => {
                let level = message.string_at(params.level.as_ref());
                let level = level.and_then(|name| LogLevel::parse(&name));
                let Some(instance) = self.instances.get(instance_id) else { return };
                // What a server says while it works for one client belongs to the stream of the request.
                let sole = if instance.clients.len() == 1 { self.find_sole_client(instance) } else { None };
                let about = sole.and_then(|(_, id)| id).map_or(About::Session, About::During);
                for client in &instance.clients {
                    if self.clients.get(*client).is_some_and(|client| client.wants(level)) {
                        cx.send_to_client(*client, message.bytes().clone(), about.clone());
                    }
                }
            }
            ServerNotification::ResourceUpdated => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return };
                let Some(instance) = self.instances.get(instance_id) else { return };
                let (server, listeners) = (instance.server.clone(), instance.subscribers.listeners(&uri));
                if listeners.is_empty() {
                    return;
                }
                for client in listeners {
                    cx.send_to_client(client, message.bytes().clone(), About::Session);
                }
                // A resource that is a part of a subscribed one need not be in any list.
                if let Some(server) = self.servers.get_mut(&server) {
                    server.catalogue.resources.hand_out(&uri, cx.time);
                }
            }
            ServerNotification::ListChanged(kind) => {
                self.handle_list_changed(instance_id, kind, message.bytes(), cx);
            }
            ServerNotification::Other => self.send_to_attached(instance_id, message.bytes(), cx),
        }
    }

    fn forward_progress(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        params: &Params,
        cx: &mut EventContext<'_>,
    ) {
        let Some(place) = params.progress_token.clone() else { return };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        // After the answer there is no entry, and the progress is dropped: some clients close the connection over a
        // token that they no longer know.
        let Some(request) = number(message.at(&place)).and_then(|number| instance.in_flight.get_mut(number))
        else {
            return;
        };
        let Owner::Call(call_id) = request.owner else { return };
        let Some(call) = self.calls.get(call_id) else { return };
        let Some(token) = &call.token else { return };
        if !call.is_cancelled() {
            request.deadline = request.limit.min(cx.time + instance.call_timeout);
        }
        let edit = Edit { at: place, with: token.as_json().to_vec() };
        cx.send_to_client(call_id.client, message.edited(vec![edit]), About::During(call.id.clone()));
    }
}
