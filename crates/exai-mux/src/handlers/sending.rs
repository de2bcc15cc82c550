//! The way of a request to an instance.

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, Segments, answer};

use crate::dialect::legacy;
use crate::handlers::client_request::Request;
use crate::handlers::methods::Prepared;
use crate::instance::Phase;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::CALL_TOTAL_TIMEOUT;
use crate::router::Router;
use crate::router::calls::CallState;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::ids::{CallId, InstanceId};

pub(crate) const TOO_MUCH_WAITS: &str = "too much waits for the server to start";

impl Router {
    /// Sends a request to the instance of a server that its client uses. Starts one if there is none.
    pub(crate) fn send_to_server(&mut self, server: &str, queued: QueuedRequest, cx: &mut EventContext<'_>) {
        let (call_id, client) = (queued.call, queued.call.client);
        let attached = self.clients.get(client).and_then(|client| client.instance_of(server));
        let Some(instance_id) = attached.or_else(|| self.find_or_start_for_call(call_id, server, cx)) else {
            // The client was answered.
            self.calls.finish_call(call_id);
            return;
        };
        let starting = self.instances.get(instance_id).is_some_and(|instance| instance.ready().is_none());
        if starting && self.list_from_memory(client, server, &queued.message, cx) {
            self.calls.finish_call(call_id);
            return;
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        match &mut instance.phase {
            Phase::Ready(_) => self.send_or_queue(queued, instance_id, cx),
            Phase::Starting { waiting, .. } if waiting.has_room(queued.message.bytes().len()) => {
                waiting.add(Waiting::Call(queued));
                self.calls.move_call(call_id, CallState::Queued(instance_id));
            }
            Phase::Starting { .. } => {
                if let Some(call) = self.calls.finish_call(call_id) {
                    cx.overloaded(client, &call.id, Some(server), TOO_MUCH_WAITS);
                }
            }
        }
    }

    fn find_or_start_for_call(
        &mut self,
        call_id: CallId,
        server: &str,
        cx: &mut EventContext<'_>,
    ) -> Option<InstanceId> {
        let call = self.calls.get(call_id)?;
        let (id, context) = (call.id.clone(), call.context.clone());
        self.find_or_start_for_client(call_id.client, &context, server, &id, cx)
    }

    /// Sends a request to a ready instance, or lets it wait for its turn.
    pub(crate) fn send_or_queue(
        &mut self,
        queued: QueuedRequest,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let call_id = queued.call;
        if instance.fair_queue.may_send_now(call_id.client) {
            return self.send_to_instance(&queued, instance_id, cx);
        }
        if instance.fair_queue.has_room(&queued) {
            instance.fair_queue.push(queued, cx.time);
            self.calls.move_call(call_id, CallState::Queued(instance_id));
        } else if let Some(call) = self.calls.finish_call(call_id) {
            let what = "64 MiB wait for this server";
            cx.overloaded(call_id.client, &call.id, Some(&instance.server), what);
        }
    }

    /// Sends the queued requests whose turn it is.
    pub(crate) fn send_queued(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        while let Some(queued) =
            self.instances.get_mut(instance_id).and_then(|instance| instance.fair_queue.pop_next())
        {
            self.send_to_instance(&queued, instance_id, cx);
        }
    }

    /// Sends a request to a ready instance, under a number that the router mints: a leg of the call begins.
    fn send_to_instance(
        &mut self,
        queued: &QueuedRequest,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let QueuedRequest { call: call_id, message, translated } = queued;
        let (call_id, Kind::Request { id, method, .. }) = (*call_id, message.kind()) else { return };
        let Some(params) = message.params() else {
            self.calls.finish_call(call_id);
            return cx.refuse(call_id.client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method_name = message.str_at(method);
        let method = legacy::read_method(method_name);
        let request =
            Request { call: call_id, message, id, method, method_name, params, translated: *translated };
        let (on_success, edits) = match self.prepare_request(&request, instance_id, cx) {
            Prepared::Send(on_success, edits) => (on_success, edits),
            Prepared::Answered => {
                self.calls.finish_call(call_id);
                return;
            }
        };
        let token = request.params.token.clone();
        let write = |number| with_number(message, id, token.as_ref(), number, edits);
        let number = self.send_request(instance_id, Owner::Call(call_id), write, cx);
        if let (Some(call), Some(number)) = (self.calls.get_mut(call_id), number) {
            call.token = token.map(|token| Id::from_json(message.at(&token)));
            call.on_success = on_success;
            call.state = CallState::Leg { instance: instance_id, number };
        }
    }

    /// Registers a request under a new number of the instance, and sends it. Returns the number.
    pub(crate) fn send_request<S: Into<Segments>>(
        &mut self,
        instance_id: InstanceId,
        owner: Owner,
        write: impl FnOnce(u64) -> S,
        cx: &mut EventContext<'_>,
    ) -> Option<u64> {
        let instance = self.instances.get_mut(instance_id)?;
        let number = instance.in_flight.mint_number();
        let limit = cx.time + CALL_TOTAL_TIMEOUT;
        let deadline = limit.min(cx.time + instance.call_timeout);
        // Registered before it is written: a fast answer must find it.
        instance.register_request(number, owner, deadline, limit);
        cx.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: write(number).into(),
            number: Some(number),
        });
        Some(number)
    }

    /// Sends a request of the router whose answer makes no difference.
    pub(crate) fn send_forgotten(
        &mut self,
        instance: InstanceId,
        method: &str,
        params: &str,
        cx: &mut EventContext<'_>,
    ) {
        let write = |number| answer::request(number, method, params);
        self.send_request(instance, Owner::Router(InternalRequest::Forgotten), write, cx);
    }
}

/// Writes a minted number in the place of the id and the progress token of a client.
fn with_number(
    message: &Message,
    id: &std::ops::Range<usize>,
    token: Option<&std::ops::Range<usize>>,
    number: u64,
    more: Vec<exai_proto::json::Edit>,
) -> Segments {
    let digits = number.to_string().into_bytes();
    let mut edits = more;
    if let Some(token) = token {
        edits.push(exai_proto::json::Edit { at: token.clone(), with: digits.clone() });
    }
    edits.push(exai_proto::json::Edit { at: id.clone(), with: digits });
    message.edited(edits)
}

/// Puts the id and the progress token of the client back into a request. Names stay those of the server.
pub(crate) fn as_it_came(bytes: Segments, id: &Id, token: Option<&Id>) -> Option<Message> {
    let message = Message::parse(bytes.into_whole()).ok()?;
    let exai_proto::Kind::Request { id: at, .. } = message.kind() else { return None };
    let mut edits = vec![Edit { at: at.clone(), with: id.as_json().to_vec() }];
    if let (Some(token), Some(at)) = (token, message.params()?.token.clone()) {
        edits.push(Edit { at, with: token.as_json().to_vec() });
    }
    Message::parse(message.edited(edits).into_whole()).ok()
}
