//! What servers say.

use std::ops::Range;

use exai_proto::json::Edit;
use exai_proto::params::{AMBIGUOUS, Params};
use exai_proto::{Id, Kind, Message};

use crate::instance::request::Owner;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::ids::{InstanceId, number};
use crate::types::list_kind::LIST_KINDS;
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
        match method {
            "notifications/progress" => self.forward_progress(instance_id, message, params, cx),
            "notifications/cancelled" => {
                // The server no longer wants what it asked.
                let Some(place) = params.request_id.clone() else { return };
                let unwanted = Id::from_json(message.at(&place));
                if let Some((client, number)) = self.questions.take_by_server_id(instance_id, &unwanted) {
                    let with = number.to_string().into_bytes();
                    let bytes = message.edited(vec![Edit { at: place, with }]);
                    cx.send_to_client(client, bytes, About::Session);
                }
            }
            "notifications/message" => {
                let level = message.string_at(params.level.as_ref());
                let level = level.and_then(|name| LogLevel::parse(&name));
                let Some(instance) = self.instances.get(instance_id) else { return };
                // What is said while one client's request is under way belongs on that request's stream.
                let sole = if instance.clients.len() == 1 { instance.sole_client() } else { None };
                let about = sole.and_then(|(_, id)| id).map_or(About::Session, About::During);
                for client in &instance.clients {
                    if self.clients.get(*client).is_some_and(|client| client.wants(level)) {
                        cx.send_to_client(*client, message.bytes().clone(), about.clone());
                    }
                }
            }
            "notifications/resources/updated" => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return };
                let Some(instance) = self.instances.get(instance_id) else { return };
                let (server, listeners) = (instance.server.clone(), instance.subscribers.listeners(&uri));
                if listeners.is_empty() {
                    return;
                }
                for client in listeners {
                    cx.send_to_client(client, message.bytes().clone(), About::Session);
                }
                // A part of what was subscribed to need be in no list.
                if let Some(server) = self.servers.get_mut(&server) {
                    server.catalogue.resources.hand_out(&uri, cx.time);
                }
            }
            _ => match LIST_KINDS.into_iter().find(|kind| kind.changed() == method) {
                Some(kind) => self.handle_list_changed(instance_id, kind, message.bytes(), cx),
                None => self.send_to_attached(instance_id, message.bytes(), cx),
            },
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
        // After the answer there is no entry, and the progress is dropped: clients tear the connection down
        // over a token they no longer know.
        let Some(request) = number(message.at(&place)).and_then(|number| instance.in_flight.get_mut(number))
        else {
            return;
        };
        let Owner::Client { client, id, token: Some(token), cancelled, .. } = &request.owner else { return };
        if !cancelled {
            request.deadline = request.limit.min(cx.time + instance.call_timeout);
        }
        let edit = Edit { at: place, with: token.as_json().to_vec() };
        cx.send_to_client(*client, message.edited(vec![edit]), About::During(id.clone()));
    }
}
