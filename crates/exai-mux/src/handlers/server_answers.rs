//! The answers of servers to requests.

use std::ops::Range;

use exai_proto::Message;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};

use crate::dialect::bridge;
use crate::handlers::input_rounds::is_input_required;
use crate::instance::request::{InFlightRequest, InternalRequest, Owner};
use crate::router::Router;
use crate::router::calls::Call;
use crate::router::event_context::EventContext;
use crate::router::on_success::OnSuccess;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, InstanceId, number};
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
        // A server that could not read the request answers with an error whose id is `null`.
        let nameless = matches!(outcome, Outcome::Error(_)) && message.at(id) == b"null";
        let number = if nameless { instance.in_flight.sole_request() } else { number(message.at(id)) };
        if let Some(listen) = number.filter(|number| instance.upstream_listen.has_number(*number)) {
            return self.handle_listen_end(instance_id, listen, outcome, cx);
        }
        if number.is_some_and(|number| self.end_relay(instance_id, number, cx)) {
            return;
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let found = number.and_then(|number| instance.take_request(number));
        let Some(InFlightRequest { owner, .. }) = found else {
            let (server, id) = (instance.label(), message.str_at(id));
            if std::mem::replace(&mut instance.said_stray, true) {
                return tracing::debug!(server, id, "an answer to no request was dropped");
            }
            return tracing::warn!(server, id, "an answer to no request was dropped; more are not logged");
        };
        match owner {
            Owner::Call(call) => {
                instance.served = true;
                let spoken = instance.era();
                self.note_silence(instance_id, cx);
                self.end_leg(call, (instance_id, spoken), message, id, outcome, cx);
                self.stop_idle_retiring(instance_id, cx);
            }
            Owner::Router(InternalRequest::Initialize) => {
                self.finish_initialize(instance_id, message, outcome, cx);
            }
            Owner::Router(InternalRequest::Discover) => {
                self.finish_discover(instance_id, message, outcome, cx);
            }
            Owner::Router(InternalRequest::List { kind, pages, asked, as_of }) => {
                self.take_list_page(instance_id, message, outcome, (kind, pages, asked, as_of), cx);
            }
            Owner::Router(InternalRequest::Ping { sent }) => {
                let answered = message.bytes().len();
                cx.effects.push(Effect::Pinged { instance: instance_id, sent, answered });
            }
            Owner::Router(InternalRequest::Parked(state)) => self.keep_parked_answer(&state, message),
            Owner::Router(InternalRequest::Forgotten | InternalRequest::Cancelled) => {}
        }
        // There is room for one more request now.
        self.send_queued(instance_id, cx);
    }

    /// Answers a call with what an instance, which may be gone, has said in an era; or begins the next leg of the call.
    pub(crate) fn end_leg(
        &mut self,
        call_id: CallId,
        (instance_id, spoken): (InstanceId, Era),
        message: &Message,
        id: &Range<usize>,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        if let Outcome::Error(error) = outcome
            && self.read_elsewhere(call_id, instance_id, (message, error), cx)
        {
            return;
        }
        if let Outcome::Result(result) = outcome
            && self.calls.get(call_id).is_some_and(|call| call.context.era == Era::Legacy)
            && spoken == Era::Modern
            && is_input_required(message.bytes(), result)
        {
            return self.ask_for_input(call_id, instance_id, (message, result), cx);
        }
        if let Outcome::Error(error) = outcome
            && self.calls.get(call_id).is_some_and(|call| call.context.era == Era::Modern)
            && self.ask_for_addresses(call_id, (message, error), cx)
        {
            return;
        }
        let Some(Call { id: own, on_success, context, method, .. }) = self.calls.finish_call(call_id) else {
            return;
        };
        let client = call_id.client;
        let mut edits = vec![Edit { at: id.clone(), with: own.as_json().to_vec() }];
        match (context.era, spoken, outcome) {
            (Era::Legacy, Era::Modern, Outcome::Result(result)) => {
                edits.extend(bridge::to_legacy_result(message.bytes(), result));
            }
            (Era::Modern, Era::Legacy, Outcome::Result(result)) => {
                edits.extend(bridge::to_modern_result(message.bytes(), result, method));
            }
            (Era::Modern, Era::Legacy, Outcome::Error(error)) => {
                edits.extend(bridge::to_modern_error(message.bytes(), error));
            }
            (Era::Legacy, Era::Modern, Outcome::Error(_))
            | (Era::Legacy, Era::Legacy, _)
            | (Era::Modern, Era::Modern, _) => {}
        }
        if let Outcome::Result(result) = outcome {
            self.note_handed_out(client, instance_id, &on_success, (message, result), cx);
            if let OnSuccess::List { kind, first, as_of } = on_success {
                if kind == ListKind::Tools && self.filters_tools(client, instance_id) {
                    edits.extend(self.cut_hidden_tools((client, instance_id), message, result));
                }
                if first {
                    self.learn_from_reply(instance_id, kind, as_of, (message, result), cx);
                }
                // The client may not see the server any more.
                let server = self.instances.server_of(instance_id);
                if server.is_some_and(|server| self.find_seen_server(client, &server, &own, cx).is_none()) {
                    return;
                }
            }
            self.apply_success(client, instance_id, on_success.clone());
            self.repair_subscriptions(client, instance_id, &on_success, cx);
        }
        cx.answer(client, own, message.edited(edits));
    }

    /// Repairs a subscription that became void while the server worked on it.
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
            // Another client has subscribed meanwhile, and was answered by the router, because this one still was
            // subscribed.
            OnSuccess::Unsubscribe(uri) if instance.subscribers.has_any(uri) => {
                let params = format!("{{\"uri\":{}}}", json::quote(uri));
                self.send_forgotten(instance_id, "resources/subscribe", &params, cx);
            }
            // The client may not see the server any more.
            OnSuccess::Subscribe(uri)
                if !client.sees_server(&instance.server) && !instance.subscribers.has_any(uri) =>
            {
                let params = format!("{{\"uri\":{}}}", json::quote(uri));
                self.send_forgotten(instance_id, "resources/unsubscribe", &params, cx);
            }
            // The client uses another instance of the server by now.
            OnSuccess::Subscribe(_) if instance.retiring => {
                if let Some(current) = client.instance_of(&instance.server, Era::Legacy) {
                    self.restore_client(client_id, current, cx);
                }
            }
            _ => {}
        }
    }

    /// Takes the tools that the client may not see out of a list.
    fn cut_hidden_tools(
        &self,
        (client, instance): (ClientId, InstanceId),
        message: &Message,
        result: &Range<usize>,
    ) -> Option<Edit> {
        let client = self.clients.get(client)?;
        let server = self.servers.get(&self.instances.get(instance)?.server)?;
        let text = message.bytes();
        let at = json::find(text, result.clone(), "tools")?;
        let mut with = vec![b'['];
        for item in json::elements(text, at.clone()) {
            let name = json::find(text, item.clone(), "name").and_then(|name| json::string(text, name));
            if name.is_none_or(|name| server.offers_tool(client, &name)) {
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
