//! The messages of servers.

use std::collections::BTreeMap;
use std::ops::Range;

use exai_proto::json::{self, Edit};
use exai_proto::params::{AMBIGUOUS, Params};
use exai_proto::{Id, Kind, Message, answer};

use crate::client::Client;
use crate::dialect::bridge;
use crate::dialect::legacy::{self, ServerNotification};
use crate::instance::Instance;
use crate::instance::request::Owner;
use crate::instance::subscribers::is_part_of;
use crate::router::Router;
use crate::router::calls::Call;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId, number};
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
        if let Some(number) = params.modern.subscription_id.as_ref().and_then(|at| number(message.at(at)))
            && self.forward_relayed(instance_id, (message, params), number, cx)
        {
            return;
        }
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
                } else {
                    self.withdraw_parked_question(instance_id, &unwanted);
                }
            }
            ServerNotification::LogMessage => {
                let level = message.string_at(params.level.as_ref());
                let level = level.and_then(|name| LogLevel::parse(&name));
                let Some(instance) = self.instances.get(instance_id) else { return };
                if instance.era() == Era::Modern {
                    return self.forward_modern_log(instance, message, level, cx);
                }
                // What a server says while it works for one client belongs to the stream of the request.
                let sole = if instance.clients.len() == 1 { self.find_sole_client(instance) } else { None };
                let call = sole.and_then(|(_, call)| self.calls.get(call?));
                let about = call.map_or(About::Session, |call| About::During(call.id.clone()));
                let wants = |client: &Client| client.context().is_some() && client.wants(level);
                let mut told: BTreeMap<ClientId, About> = BTreeMap::new();
                for client in &instance.clients {
                    if self.clients.get(*client).is_some_and(wants) {
                        told.insert(*client, about.clone());
                    }
                }
                // Clients of the modern era want what they have said in their requests, and nothing else.
                let of_requests = |_, call: &Call| match call.context.era {
                    Era::Legacy => None,
                    Era::Modern => call.context.level,
                };
                for (client, about) in self.find_log_readers(instance, level, of_requests) {
                    told.entry(client).or_insert(about);
                }
                for (client, about) in told {
                    cx.send_to_client(client, message.bytes().clone(), about);
                }
            }
            ServerNotification::ResourceUpdated => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return };
                let Some(instance) = self.instances.get(instance_id) else { return };
                let listeners = instance.subscribers.listeners(&uri);
                if listeners.is_empty() {
                    return;
                }
                let (server, era) = (instance.server.clone(), instance.era());
                for client in listeners {
                    self.notify_listens_of_resource(client, (&server, &uri), cx);
                    let Some(known) = self.clients.get(client) else { continue };
                    let subscribed = known.subscribed_uris(&server, Era::Legacy);
                    if subscribed.iter().any(|whole| is_part_of(&uri, whole)) {
                        // That of a modern server is for a listen of the router.
                        let told = match era {
                            Era::Legacy => message.bytes().clone(),
                            Era::Modern => {
                                let params = format!("{{\"uri\":{}}}", json::quote(&uri));
                                answer::notify("notifications/resources/updated", &params)
                            }
                        };
                        cx.send_to_client(client, told, About::Session);
                    }
                }
                // A resource that is a part of a subscribed one need not be in any list.
                if let Some(offering) = self.offering_of_mut(instance_id) {
                    offering.catalogue.resources.hand_out(&uri, cx.time);
                }
            }
            ServerNotification::ListChanged(kind) => {
                self.handle_list_changed(instance_id, kind, message.bytes(), cx);
            }
            ServerNotification::Acknowledged => {
                let acknowledged = params.modern.subscription_id.as_ref();
                if let Some(number) = acknowledged.and_then(|at| number(message.at(at))) {
                    self.finish_listen_renewal(instance_id, number, cx);
                }
            }
            ServerNotification::Other => self.forward_unknown(instance_id, (message, params), cx),
        }
    }

    /// Forwards a log message of a server of the modern era. It belongs to a request and does not say to which: each
    /// client that waits for an answer and wants such messages gets it.
    fn forward_modern_log(
        &self,
        instance: &Instance,
        message: &Message,
        level: Option<LogLevel>,
        cx: &mut EventContext<'_>,
    ) {
        let wanted = |client: ClientId, call: &Call| match call.context.era {
            Era::Legacy => self.clients.get(client)?.level,
            Era::Modern => call.context.level,
        };
        for (client, about) in self.find_log_readers(instance, level, wanted) {
            let has_session = self.clients.context(client).is_some();
            let edits = if has_session { bridge::to_legacy_notification(message) } else { Vec::new() };
            cx.send_to_client(client, message.edited(edits), about);
        }
    }

    /// The clients that wait for answers of an instance and want log messages of this level meanwhile. `wanted` says which
    /// a call wants.
    fn find_log_readers(
        &self,
        instance: &Instance,
        level: Option<LogLevel>,
        wanted: impl Fn(ClientId, &Call) -> Option<LogLevel>,
    ) -> BTreeMap<ClientId, About> {
        let mut readers: BTreeMap<ClientId, About> = BTreeMap::new();
        if self.find_sole_client(instance).is_none() {
            // It belongs to one request, and does not say to which.
            return readers;
        }
        for call_id in instance.in_flight.calls() {
            let Some(call) = self.calls.get(call_id).filter(|call| !call.is_cancelled()) else { continue };
            if wanted(call_id.client, call).is_some_and(|wanted| level.is_none_or(|level| level >= wanted)) {
                // With several requests it is not known which one is meant.
                let is_first = !readers.contains_key(&call_id.client);
                let about = if is_first { About::During(call.id.clone()) } else { About::Session };
                readers.insert(call_id.client, about);
            }
        }
        readers
    }

    /// Forwards a notification that only an extension knows. In a session it is for all clients. In the modern era there is
    /// nothing for all: it belongs to a request.
    fn forward_unknown(
        &self,
        instance_id: InstanceId,
        (message, params): (&Message, &Params),
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        if instance.era() == Era::Legacy {
            for &client in &instance.clients {
                if self.clients.context(client).is_some() {
                    cx.send_to_client(client, message.bytes().clone(), About::Session);
                }
            }
            return;
        }
        // What has a subscription belongs to one of the router.
        let sole = self.find_sole_client(instance).filter(|_| params.modern.subscription_id.is_none());
        let Some((client, call)) = sole.and_then(|(client, call)| Some((client, self.calls.get(call?)?)))
        else {
            return;
        };
        let edits = match call.context.era {
            Era::Legacy => bridge::to_legacy_notification(message),
            Era::Modern => Vec::new(),
        };
        cx.send_to_client(client, message.edited(edits), About::During(call.id.clone()));
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
        let mut edits = vec![Edit { at: place, with: token.as_json().to_vec() }];
        if (call.context.era, instance.era()) == (Era::Legacy, Era::Modern) {
            edits.extend(bridge::to_legacy_notification(message));
        }
        cx.send_to_client(call_id.client, message.edited(edits), About::During(call.id.clone()));
    }
}
