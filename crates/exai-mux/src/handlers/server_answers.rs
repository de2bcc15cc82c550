//! The answers of servers.

use std::ops::Range;

use exai_proto::Message;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};

use crate::instance::request::{InFlightRequest, InternalRequest, OnSuccess, Owner};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, InstanceId, number};
use crate::types::list_kind::ListKind;

impl Router {
    pub(crate) fn handle_answer(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        // An error of a server that could not read the request says `null`.
        let nameless = matches!(outcome, Outcome::Error(_)) && message.at(id) == b"null";
        let number = if nameless { instance.in_flight.sole_request() } else { number(message.at(id)) };
        let found = number.and_then(|number| instance.take_request(number));
        let Some(InFlightRequest { owner, .. }) = found else {
            let (server, id) = (instance.label(), message.str_at(id));
            if std::mem::replace(&mut instance.said_stray, true) {
                return tracing::debug!(server, id, "an answer to no request was dropped");
            }
            return tracing::warn!(server, id, "an answer to no request was dropped; more are not logged");
        };
        match owner {
            Owner::Client { client, id: own, on_success, cancelled, .. } => {
                instance.served = true;
                self.note_silence(instance_id, cx);
                if !cancelled {
                    self.clients.uncount_request(client);
                }
                if let (Outcome::Error(error), OnSuccess::ResourceRead(read), false) =
                    (outcome, &on_success, cancelled)
                    && self.read_elsewhere(client, instance_id, read, (message, error), cx)
                {
                    self.stop_idle_retiring(instance_id, cx);
                    return self.send_queued(instance_id, cx);
                }
                let mut edits = vec![Edit { at: id.clone(), with: own.as_json().to_vec() }];
                if let Outcome::Result(result) = outcome {
                    self.note_handed_out(client, instance_id, &on_success, (message, result), cx);
                    if let OnSuccess::List { kind, first, as_of } = on_success {
                        if kind == ListKind::Tools && self.filters_tools(instance_id) {
                            edits.extend(self.cut_blocked_tools(instance_id, message, result));
                        }
                        if first {
                            self.learn_from_reply(instance_id, kind, as_of, (message, result), cx);
                        }
                    }
                    self.apply_success(client, instance_id, on_success.clone());
                    self.repair_subscriptions(client, instance_id, &on_success, cx);
                }
                cx.answer(client, own, message.edited(edits));
                self.stop_idle_retiring(instance_id, cx);
            }
            Owner::Router(InternalRequest::Initialize) => {
                self.finish_initialize(instance_id, message, outcome, cx);
            }
            Owner::Router(InternalRequest::List { kind, pages, asked, as_of }) => {
                self.take_list_page(instance_id, message, outcome, (kind, pages, asked, as_of), cx);
            }
            Owner::Router(InternalRequest::Ping { sent }) => {
                let answered = message.bytes().len();
                cx.effects.push(Effect::Pinged { instance: instance_id, sent, answered });
            }
            Owner::Router(InternalRequest::Forgotten | InternalRequest::Cancelled) => {}
        }
        // Now there is room for one more.
        self.send_queued(instance_id, cx);
    }

    /// What happened while the server worked on a subscription or its end may have made it void.
    fn repair_subscriptions(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        on_success: &OnSuccess,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let Some(client) = self.clients.get(client_id) else { return };
        match on_success {
            // Somebody else has subscribed meanwhile, and was answered here, because one still was.
            OnSuccess::Unsubscribe(uri) if instance.subscribers.has_any(uri) => {
                let params = format!("{{\"uri\":{}}}", json::quote(uri));
                self.send_forgotten(instance_id, "resources/subscribe", &params, cx);
            }
            // The client has another run of it by now.
            OnSuccess::Subscribe(_) if instance.retiring => {
                if let Some(current) = client.instance_of(&instance.server) {
                    self.restore_client(client_id, current, cx);
                }
            }
            _ => {}
        }
    }

    /// Takes tools the configuration blocks out of a list.
    fn cut_blocked_tools(
        &self,
        instance: InstanceId,
        message: &Message,
        result: &Range<usize>,
    ) -> Option<Edit> {
        let filter = &self.servers.get(&self.instances.get(instance)?.server)?.policy.tools;
        let text = message.bytes();
        let at = json::find(text, result.clone(), "tools")?;
        let mut with = vec![b'['];
        for item in json::elements(text, at.clone()) {
            let name = json::find(text, item.clone(), "name").and_then(|name| json::string(text, name));
            if name.is_none_or(|name| filter.allows(&name)) {
                if with.len() > 1 {
                    with.push(b',');
                }
                with.extend_from_slice(&text[item]);
            }
        }
        with.push(b']');
        Some(Edit { at, with })
    }
}
