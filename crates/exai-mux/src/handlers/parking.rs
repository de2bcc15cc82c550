//! Questions of servers of the legacy era to clients of the modern era, where the configuration has messages bridged
//! (`bridge = true`): see `router::parked_calls`.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use exai_proto::json;
use exai_proto::modern::MISSING_CAPABILITY;
use exai_proto::{Id, Kind, Message, answer};

use crate::dialect::bridge::remove_input;
use crate::dialect::legacy::write_cancel;
use crate::handlers::input_rounds::is_input_method;
use crate::handlers::question_recipient::{GONE, Refusal};
use crate::limits::{GATHERING_INTERVAL, INPUT_TIMEOUT, MAX_PARKED_QUESTIONS};
use crate::router::Router;
use crate::router::calls::{Call, CallState};
use crate::router::event_context::EventContext;
use crate::router::parked_calls::{Claim, ParkedAt, ParkedCall, id_of};
use crate::types::capability::ClientCapability;
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, InstanceId};

/// The answer to a request state that leads nowhere.
pub(super) const NO_SUCH_STATE: &str =
    "Invalid params: this requestState is unknown, was used before, or belongs to another request";

/// What became of a request of the modern era at a server of the legacy era.
pub(crate) enum Resumed {
    /// It is no request that was made before.
    NotParked,
    /// It is to be sent like a new one.
    Anew {
        message: Message,
        /// When its client was asked to have its user sign in, if it was asked for that.
        sign_in_wanted_at: Option<Instant>,
    },
    /// It goes on, or was answered.
    Done,
}

impl Router {
    /// Lets a call be answered that input is required.
    pub(crate) fn park_call(
        &mut self,
        call_id: CallId,
        question: &Message,
        method: &str,
        cx: &mut EventContext<'_>,
    ) -> Result<(), Refusal> {
        let Some(call) = self.calls.get(call_id) else { return Err(Refusal::new(-32603, GONE)) };
        if !is_input_method(method) {
            return Err(Refusal::new(-32601, format!("Method not found: {method}")));
        }
        let CallState::Leg { instance, number } = call.state else {
            return Err(Refusal::new(-32603, GONE));
        };
        let missing = ClientCapability::of_method(method)
            .iter()
            .find(|ask| !call.context.can.contains_key(ask))
            .map(|ask| ask.name());
        if let Some(missing) = missing {
            self.refuse_without_capability(call_id, (instance, number), missing, cx);
            return Err(cannot_do(method));
        }
        let has_room = self.parked_calls.has_room(self.claimant(call_id.client));
        if !has_room || !self.parked_calls.gather(call_id, question.clone(), cx.time + GATHERING_INTERVAL) {
            return Err(Refusal::new(-32603, "too much waits for input of this client"));
        }
        Ok(())
    }

    /// Parks the calls whose questions have been gathered: a server may ask several at once.
    pub(crate) fn park_gathered_calls(&mut self, cx: &mut EventContext<'_>) {
        for (call_id, questions) in self.parked_calls.take_gathered(cx.time) {
            // If the call is gone, the server has not waited for its answers.
            let Some(call) = self.calls.get(call_id) else { continue };
            let CallState::Leg { instance, number } = call.state else { continue };
            if call.is_cancelled() || questions.is_empty() {
                for id in questions.iter().filter_map(id_of) {
                    cx.send_to_server(instance, answer::error(&id, -32603, GONE));
                }
                continue;
            }
            let on_success = call.on_success.clone();
            let at = ParkedAt::Leg { instance, number, on_success, questions, answer: None };
            if let Some(call) = self.calls.finish_call(call_id) {
                self.park((call_id.client, call), at, cx);
            }
        }
    }

    /// Who may go on with a call, and with which request.
    pub(super) fn make_claim(&self, client: ClientId, call: &Call) -> Option<Claim> {
        let digest = digest(call.request.as_ref()?, &call.context);
        Some(Claim { client: self.claimant(client), digest })
    }

    /// Who goes on with a call by making it again with this message. `None` if the call is gone.
    pub(super) fn claim_with(&self, call_id: CallId, message: &Message) -> Option<Claim> {
        let digest = digest(message, &self.calls.get(call_id)?.context);
        Some(Claim { client: self.claimant(call_id.client), digest })
    }

    /// Who may go on with a call of this client.
    pub(super) fn claimant(&self, client: ClientId) -> Option<ClientId> {
        Some(client).filter(|client| self.clients.get(*client).is_some_and(|client| !client.stateless))
    }

    /// Ends a call that needs what its client cannot do.
    fn refuse_without_capability(
        &mut self,
        call_id: CallId,
        (instance_id, number): (InstanceId, u64),
        missing: &str,
        cx: &mut EventContext<'_>,
    ) {
        let Some(call) = self.calls.finish_call(call_id) else { return };
        if let Some(instance) = self.instances.get_mut(instance_id) {
            instance.in_flight.disown_request(number, cx.time);
        }
        cx.send_to_server(instance_id, write_cancel(number, "the client cannot do what this needs"));
        let data = format!("{{\"requiredCapabilities\":{{\"{missing}\":{{}}}}}}");
        let text = format!("the server needs the capability {missing} of the client");
        let refusal = answer::error_with_data(&call.id, MISSING_CAPABILITY, &text, &data);
        cx.answer(call_id.client, call.id, refusal);
    }

    /// Parks a call, and asks for what its questions are about.
    fn park(&mut self, (client, call): (ClientId, Call), at: ParkedAt, cx: &mut EventContext<'_>) {
        let Some(claim) = self.make_claim(client, &call) else { return };
        let state = self.parked_calls.mint_state();
        let (mut freed, mut until) = (None, cx.time + INPUT_TIMEOUT);
        if let ParkedAt::Leg { instance: instance_id, number, questions, .. } = &at {
            if let Some(instance) = self.instances.get_mut(*instance_id) {
                until = instance.park_request(*number, &state).unwrap_or(until).min(until);
                freed = Some(*instance_id);
            }
            let requests: Vec<String> = questions.iter().map(write_input_request).collect();
            let answer = write_input_required(&call.id, &requests.join(","), &state);
            cx.answer(client, call.id.clone(), answer);
        }
        self.parked_calls.add(state, ParkedCall { claim, context: call.context, by: client, until, at });
        if let Some(instance) = freed {
            self.send_queued(instance, cx);
        }
    }

    /// Whether a question of an instance could belong to a parked call of another client than this one.
    pub(crate) fn may_mean_parked_call(&self, instance: InstanceId, client: ClientId) -> bool {
        self.parked_calls.has_others(instance, client)
    }

    /// Takes a further question of a server that works on one parked call and on nothing else: the client is asked when
    /// its request comes again. `None` if the server is not in that state.
    pub(crate) fn take_further_question(
        &mut self,
        instance_id: InstanceId,
        question: &Message,
        method: &str,
    ) -> Option<Result<(), Refusal>> {
        let instance = self.instances.get(instance_id)?;
        let is_working = instance.in_flight.charged_clients().next().is_some();
        let room = self.parked_calls.has_room_for_bytes(question.bytes().len());
        let parked = self.parked_calls.find_sole_of_instance(instance_id).filter(|_| !is_working)?;
        // Whoever else uses the instance could be meant as well.
        let is_alone = instance.clients.iter().all(|client| *client == parked.by);
        let can = ClientCapability::of_method(method).iter().any(|ask| parked.context.can.contains_key(ask));
        let ParkedAt::Leg { questions, .. } = &mut parked.at else { return None };
        if !is_alone || !room || questions.len() >= MAX_PARKED_QUESTIONS {
            return Some(Err(Refusal::new(-32603, "exai cannot tell which request this belongs to")));
        }
        if !is_input_method(method) || !can {
            return Some(Err(cannot_do(method)));
        }
        questions.push(question.clone());
        Some(Ok(()))
    }

    /// Forgets a question that its server no longer wants answered.
    pub(crate) fn withdraw_parked_question(&mut self, instance: InstanceId, id: &Id) {
        let calls = &self.calls;
        let is_there = |call: CallId| matches!(calls.get(call).map(|call| call.state), Some(CallState::Leg { instance: at, .. }) if at == instance);
        self.parked_calls.withdraw_question(instance, id, is_there);
    }

    /// Goes on with a parked call, if a request is made again with the state that leads there.
    pub(crate) fn resume_parked_call(
        &mut self,
        call_id: CallId,
        server: &str,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> Resumed {
        let Some(params) = message.params() else { return Resumed::NotParked };
        let Some(place) = params.request_state.clone() else { return Resumed::NotParked };
        let (text, client) = (message.bytes(), call_id.client);
        let Some(claim) = self.claim_with(call_id, message) else { return Resumed::Done };
        let sees = self.clients.get(client).is_some_and(|client| client.sees_server(server));
        let state = json::string(text, place).filter(|_| sees);
        let instances = &self.instances;
        let is_here = |at: &ParkedAt| match at {
            // A server that is gone has taken its parked calls with it, but for answers that have come.
            ParkedAt::Leg { instance, .. } => {
                instances.server_of(*instance).is_none_or(|name| &*name == server)
            }
            ParkedAt::Nowhere { .. } => true,
        };
        let parked = state.and_then(|state| self.parked_calls.take_claimed(&state, claim, is_here));
        let Some(ParkedCall { at, .. }) = parked else {
            if let Some(call) = self.calls.finish_call(call_id) {
                cx.refuse(client, &call.id, -32602, NO_SUCH_STATE);
            }
            return Resumed::Done;
        };
        let (instance_id, number, on_success, mut questions, answer) = match at {
            ParkedAt::Leg { instance, number, on_success, questions, answer } => {
                (instance, number, on_success, questions, answer)
            }
            ParkedAt::Nowhere { sign_in_wanted_at } => {
                return self.go_on_after_page(call_id, server, (message, sign_in_wanted_at), cx);
            }
        };
        let said = |question: &Message| json::find(text, params.input_responses.clone()?, &key_of(question)?);
        questions.retain(|question| match (said(question), id_of(question)) {
            (Some(said), Some(asked)) => {
                // The server may have answered, and be gone.
                if self.instances.contains(instance_id) {
                    cx.send_to_server(instance_id, answer::result(&asked, &text[said]));
                }
                false
            }
            (None, _) | (_, None) => true,
        });
        if !questions.is_empty() {
            // The server needs more, or was told nothing.
            let at = ParkedAt::Leg { instance: instance_id, number, on_success, questions, answer };
            if let Some(mut call) = self.calls.finish_call(call_id) {
                call.request = Some(message.clone());
                self.park((client, call), at, cx);
            }
            return Resumed::Done;
        }
        if let Some(call) = self.calls.get_mut(call_id) {
            call.state = CallState::Leg { instance: instance_id, number };
            call.request = Some(message.clone());
            call.on_success = on_success;
            call.token = params.token.clone().map(|at| Id::from_json(message.at(&at)));
        }
        if let Some(answer) = answer
            && let Kind::Response { id, outcome } = answer.kind()
        {
            self.end_leg(call_id, (instance_id, Era::Legacy), &answer, id, outcome, cx);
        } else if !self
            .instances
            .get_mut(instance_id)
            .is_some_and(|instance| instance.resume_request(number, call_id, cx.time))
            && let Some(call) = self.calls.finish_call(call_id)
        {
            cx.timed_out(client, &call.id, server, &call.on_success);
        }
        Resumed::Done
    }

    /// Keeps the answer of a server to a call that is parked: the server has not waited for the input.
    pub(crate) fn keep_parked_answer(&mut self, state: &str, message: &Message) {
        if !self.parked_calls.has_room_for_bytes(message.bytes().len()) {
            self.parked_calls.take(state);
            return;
        }
        if let Some(ParkedAt::Leg { answer, questions, .. }) =
            self.parked_calls.get_mut(state).map(|parked| &mut parked.at)
        {
            *answer = Some(message.clone());
            questions.truncate(1);
        }
    }

    /// Gives up the parked calls whose input has not come in time.
    pub(crate) fn expire_parked_calls(&mut self, cx: &mut EventContext<'_>) {
        for state in self.parked_calls.find_late(cx.time) {
            self.give_up_parked_call(&state, "the client has not answered in time", cx);
        }
    }

    /// Gives up the parked calls of a client that is gone.
    pub(crate) fn give_up_parked_calls_of(&mut self, client: ClientId, cx: &mut EventContext<'_>) {
        for state in self.parked_calls.states_of(client) {
            self.give_up_parked_call(&state, GONE, cx);
        }
    }

    pub(crate) fn give_up_parked_call(&mut self, state: &str, why: &str, cx: &mut EventContext<'_>) {
        let Some(ParkedCall { at: ParkedAt::Leg { instance, number, questions, answer, .. }, .. }) =
            self.parked_calls.take(state)
        else {
            return;
        };
        if !self.instances.contains(instance) {
            return;
        }
        for id in questions.iter().filter_map(id_of) {
            cx.send_to_server(instance, answer::error(&id, -32603, why));
        }
        if answer.is_some() {
            return;
        }
        cx.send_to_server(instance, write_cancel(number, why));
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.in_flight.disown_request(number, cx.time);
        }
    }
}

/// The answer to a server that asks what the client of a call has not declared.
fn cannot_do(method: &str) -> Refusal {
    Refusal::new(-32601, format!("Method not found: the client cannot do {method}"))
}

/// A hash of what a request asks for and of who asks: the same for the same request with other input.
fn digest(message: &Message, context: &ClientContext) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Kind::Request { method, .. } = message.kind() {
        message.at(method).hash(&mut hasher);
    }
    if let Some(params) = message.params() {
        for place in [&params.name, &params.uri, &params.arguments] {
            place.as_ref().map(|at| message.at(at)).hash(&mut hasher);
        }
    }
    (&context.name, &context.build).hash(&mut hasher);
    hasher.finish()
}

/// A request without what says that it was made before.
pub(super) fn without_input(message: &Message) -> Option<Message> {
    Message::parse(message.edited(remove_input(message)).into_whole()).ok()
}

/// The key under which a client is asked a question: the server's own id.
fn key_of(question: &Message) -> Option<String> {
    let id = id_of(question)?;
    let text = id.as_json();
    let number = || format!("#{}", String::from_utf8_lossy(text));
    Some(json::string(text, 0..text.len()).map_or_else(number, Cow::into_owned))
}

/// Writes a question of a server as what a client is to provide, with its key.
fn write_input_request(question: &Message) -> String {
    let Kind::Request { method, params, .. } = question.kind() else { return String::new() };
    let key = json::quote(&key_of(question).unwrap_or_default());
    let method = question.str_at(method);
    match params {
        Some(params) => {
            format!("{key}:{{\"method\":\"{method}\",\"params\":{}}}", question.str_at(params))
        }
        None => format!("{key}:{{\"method\":\"{method}\"}}"),
    }
}

pub(super) fn write_input_required(id: &Id, requests: &str, state: &str) -> bytes::Bytes {
    let result = format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{{{requests}}},\"requestState\":\"{state}\"}}"
    );
    answer::result(id, result.as_bytes())
}
