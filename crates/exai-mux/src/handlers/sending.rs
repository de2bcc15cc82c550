//! The way of a request to an instance.

use std::sync::Arc;

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, Segments, answer};

use crate::dialect::{bridge, legacy};
use crate::handlers::client_request::Request;
use crate::handlers::era_refusals::refuse_modern;
use crate::handlers::methods::Prepared;
use crate::handlers::parking::NO_SUCH_STATE;
use crate::handlers::parking::Resumed;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::instance::{Instance, Phase};
use crate::limits::CALL_TOTAL_TIMEOUT;
use crate::router::Router;
use crate::router::calls::{Call, CallState};
use crate::router::event_context::EventContext;
use crate::types::client_context::ClientContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::ids::{CallId, InstanceId};
use crate::types::log_level::LogLevel;
use crate::types::method::Method;

pub(crate) const TOO_MUCH_WAITS: &str = "too much waits for the server to start";

impl Router {
    /// Sends a request to the instance of a server that its client uses. Starts one if there is none.
    pub(crate) fn send_to_server(&mut self, server: &str, queued: QueuedRequest, cx: &mut EventContext<'_>) {
        let (call_id, client, era) = (queued.call, queued.call.client, queued.era);
        let serving = self.servers.get(server).map(|server| server.serving_era(era));
        // What a bridged request of the modern era declares decides where it goes.
        let is_bridged = era == Era::Modern && serving == Some(Era::Legacy);
        let attached = self.clients.get(client).filter(|_| !is_bridged);
        let attached = attached.and_then(|client| client.instance_of(server, era));
        let mut queued = queued;
        let resumed = match era {
            Era::Modern if is_bridged => self.resume_parked_call(call_id, server, &queued.message, cx),
            Era::Modern => self.resume_opened_call(call_id, server, &queued.message, cx),
            Era::Legacy => Resumed::NotParked,
        };
        match resumed {
            Resumed::NotParked => {}
            Resumed::Anew { message, sign_in_wanted_at } => {
                let again = QueuedRequest { message, ..queued };
                let Some(now) = self.await_sign_in(server, again, sign_in_wanted_at, cx.time) else { return };
                queued = now;
            }
            Resumed::Done => return,
        }
        if era == Era::Modern && self.refuse_unserved_era(call_id, server, None, cx) {
            return;
        }
        let Some(instance_id) = attached.or_else(|| self.find_or_start_for_call(&queued, server, cx)) else {
            // The client was answered.
            self.calls.finish_call(call_id);
            return;
        };
        if era == Era::Modern && self.refuse_unserved_era(call_id, server, Some(instance_id), cx) {
            return;
        }
        let starting = self.instances.get(instance_id).is_some_and(|instance| instance.ready().is_none());
        if starting && self.list_from_memory((client, era), server, &queued.message, cx) {
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

    /// Tells a client of the modern era that a server does not speak it, as far as that is known, or as an instance shows.
    /// On an endpoint of several servers the client does without what would have to be asked of it. Returns whether it was
    /// told.
    fn refuse_unserved_era(
        &mut self,
        call_id: CallId,
        server: &str,
        instance: Option<InstanceId>,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(known) = self.servers.get(server) else { return false };
        let said = instance.and_then(|instance| self.instances.get(instance)?.ready());
        let is_legacy =
            known.eras.speaks(Era::Modern) == Some(false) || said.is_some_and(|said| said.era == Era::Legacy);
        if !is_legacy || known.policy.bridge || self.clients.is_aggregating(call_id.client) {
            return false;
        }
        if let Some(call) = self.calls.finish_call(call_id) {
            refuse_modern(call_id.client, &call.id, cx);
        }
        true
    }

    fn find_or_start_for_call(
        &mut self,
        queued: &QueuedRequest,
        server: &str,
        cx: &mut EventContext<'_>,
    ) -> Option<InstanceId> {
        let (call, client) = (self.calls.get(queued.call)?, queued.call.client);
        let (id, context) = (call.id.clone(), call.context.clone());
        let seen = self.find_seen_server(client, server, &id, cx)?;
        if let Some(down) = seen.health.held_back(cx.time).cloned() {
            self.refuse_unavailable(queued, server, &down, cx);
            return None;
        }
        self.find_or_start_for_client(client, &context, server, &id, cx)
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
        let QueuedRequest { call: call_id, era, message, translated } = queued;
        let (call_id, Kind::Request { id, method, .. }) = (*call_id, message.kind()) else { return };
        let Some(params) = message.params() else {
            self.calls.finish_call(call_id);
            return cx.refuse(call_id.client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let (method_name, era) = (message.str_at(method), *era);
        let method = legacy::read_method(method_name);
        let request =
            Request { call: call_id, era, message, id, method, method_name, params, translated: *translated };
        let (on_success, edits) = match self.prepare_request(&request, instance_id, cx) {
            Prepared::Send(on_success, edits) => (on_success, edits),
            Prepared::Answered => {
                self.calls.finish_call(call_id);
                return;
            }
        };
        let token = request.params.token.clone();
        let translation = self.find_translation(&request, instance_id);
        if matches!(translation, Translation::ToLegacy(_)) && request.params.request_state.is_some() {
            // It was meant for the modern era, which the server has left meanwhile: nothing waits for it here, and without
            // its state it would be another call.
            self.calls.finish_call(call_id);
            return cx.refuse(call_id.client, &Id::from_json(message.at(id)), -32602, NO_SUCH_STATE);
        }
        if let Translation::ToLegacy(Some(level)) = translation
            && self.instances.get(instance_id).is_some_and(|instance| instance.key.bridged)
        {
            // No session hears what more the server says then.
            self.raise_log_level(instance_id, level, cx);
        }
        let write = |number: u64| {
            let digits = number.to_string().into_bytes();
            let mut edits = edits;
            let mut token = token.as_ref();
            match &translation {
                Translation::None => {}
                Translation::WithoutInput => edits.extend(bridge::remove_input(message)),
                Translation::ToModern(context, level) => {
                    edits.extend(bridge::to_modern_request(message, params, context, *level));
                }
                // The token is in the part that is written anew.
                Translation::ToLegacy(_) => {
                    edits.extend(bridge::to_legacy_request(message, params, &digits));
                    token = token.filter(|_| params.meta.is_none());
                }
            }
            with_number(message, id, token, digits, edits)
        };
        let is_translated = !matches!(translation, Translation::None);
        let untranslated = is_translated.then(|| queued.clone());
        let number = self.send_request(instance_id, Owner::Call(call_id), write, cx);
        if let (Some(call), Some(number)) = (self.calls.get_mut(call_id), number) {
            call.token = token.map(|token| Id::from_json(message.at(&token)));
            call.on_success = on_success;
            call.untranslated = untranslated;
            // A server of the other era may need further input before it answers, and any server a sign-in.
            let may_need_input =
                matches!(method, Method::CallTool | Method::GetPrompt | Method::ReadResource);
            if (is_translated || queued.era == Era::Modern) && may_need_input && call.request.is_none() {
                call.request = Some(message.clone());
            }
            call.state = CallState::Leg { instance: instance_id, number };
        }
    }

    /// How a request must be changed for the era in which the server is spoken to.
    fn find_translation(&self, request: &Request<'_>, instance: InstanceId) -> Translation {
        let (call, era, params) = (request.call, request.era, request.params);
        let has_input = params.input_responses.is_some() || params.request_state.is_some();
        let context = || self.calls.get(call).map(|call| call.context.clone());
        match (era, self.instances.get(instance).map_or(era, Instance::era)) {
            (Era::Legacy, Era::Legacy)
                if has_input && self.calls.get(call).is_some_and(|call| call.input_rounds > 0) =>
            {
                Translation::WithoutInput
            }
            (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => Translation::None,
            (Era::Legacy, Era::Modern) => {
                let level = self.clients.get(call.client).and_then(|client| client.level);
                context().map_or(Translation::None, |context| Translation::ToModern(context, level))
            }
            (Era::Modern, Era::Legacy) => Translation::ToLegacy(context().and_then(|context| context.level)),
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
    digits: Vec<u8>,
    more: Vec<Edit>,
) -> Segments {
    let mut edits = more;
    if let Some(token) = token {
        edits.push(Edit { at: token.clone(), with: digits.clone() });
    }
    edits.push(Edit { at: id.clone(), with: digits });
    message.edited(edits)
}

/// How a request is changed where its client and the server speak different eras.
#[derive(Debug)]
enum Translation {
    None,
    /// The server that has needed input spoke the modern era. This one does not.
    WithoutInput,
    /// The request says what the session of its client has said, and this log level.
    ToModern(Arc<ClientContext>, Option<LogLevel>),
    /// The client wants log messages of this level during the request.
    ToLegacy(Option<LogLevel>),
}

/// Reads a request that could not be sent, so that the next instance gets it: the id and the progress token are those of
/// the client again, names stay those of the server. What was translated to another era is taken as it was before.
pub(crate) fn read_unsent(bytes: Segments, call_id: CallId, call: &mut Call) -> Option<QueuedRequest> {
    if let Some(untranslated) = call.untranslated.take() {
        return Some(untranslated);
    }
    let message = as_it_came(bytes, &call.id, call.token.as_ref())?;
    Some(QueuedRequest { call: call_id, era: call.context.era, message, translated: true })
}

fn as_it_came(bytes: Segments, id: &Id, token: Option<&Id>) -> Option<Message> {
    let message = Message::parse(bytes.into_whole()).ok()?;
    let exai_proto::Kind::Request { id: at, .. } = message.kind() else { return None };
    let mut edits = vec![Edit { at: at.clone(), with: id.as_json().to_vec() }];
    if let (Some(token), Some(at)) = (token, message.params()?.token.clone()) {
        edits.push(Edit { at, with: token.as_json().to_vec() });
    }
    Message::parse(message.edited(edits).into_whole()).ok()
}
