//! Calls that need further input, for clients of the legacy era at servers of the modern era.
//!
//! A modern server asks nobody: it answers that input is required (`input_required`), and wants the request once more
//! with the answers (basic/patterns/mrtr of the specification). A legacy client is asked as its session knows it, by
//! requests; then the router makes the request again.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};
use exai_proto::{Kind, Message, answer};

use crate::dialect::legacy::write_cancel;
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::{INPUT_TIMEOUT, MAX_INPUT_REQUESTS, MAX_INPUT_ROUNDS};
use crate::router::Router;
use crate::router::awaited_inputs::AwaitedInput;
use crate::router::calls::CallState;
use crate::router::event_context::EventContext;
use crate::router::questions::{Question, QuestionOrigin};
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{CallId, InstanceId};

/// What the user has decided whose client could not ask.
const CANCELLED: &[u8] = b"{\"action\":\"cancel\"}";

/// One thing that a server needs.
struct InputRequest {
    key: String,
    method: String,
    params: String,
}

/// Whether a result says that input is required.
pub(crate) fn is_input_required(text: &[u8], result: &Range<usize>) -> bool {
    let kind = json::find(text, result.clone(), "resultType");
    kind.and_then(|at| json::string(text, at)).is_some_and(|kind| kind == "input_required")
}

impl Router {
    /// Asks the client for the input that a server needs, or gives the call up.
    pub(crate) fn ask_for_input(
        &mut self,
        call_id: CallId,
        instance_id: InstanceId,
        (message, result): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else { return };
        let Some(call) = self.calls.get_mut(call_id) else { return };
        if call.is_cancelled() {
            return self.finish_without_answer(call_id, cx);
        }
        call.input_rounds += 1;
        let Some(request) = call.request.clone().filter(|_| call.input_rounds <= MAX_INPUT_ROUNDS) else {
            let text = format!(
                "server \"{server}\" needs input again and again, or for a request that can have none"
            );
            return self.fail_call(call_id, &text, cx);
        };
        let id = call.id.clone();
        let wanted = match read_input_requests(message.bytes(), result) {
            Ok(wanted) => wanted,
            Err(text) => return self.fail_call(call_id, &format!("server \"{server}\" {text}"), cx),
        };
        for one in &wanted {
            if let Err(refusal) = self.check_question(call_id.client, &one.method) {
                let text = format!("server \"{server}\" needs {}: {}", one.method, refusal.text);
                return self.fail_call(call_id, &text, cx);
            }
        }
        let state = json::find(message.bytes(), result.clone(), "requestState");
        let input = AwaitedInput {
            server,
            request,
            state: state.map(|at| message.bytes().slice(at)),
            answers: wanted.iter().map(|one| (one.key.clone(), None)).collect(),
            until: cx.time + INPUT_TIMEOUT,
        };
        self.calls.move_call(call_id, CallState::AwaitingInput);
        self.awaited_inputs.add(call_id, input);
        for InputRequest { key, method, params } in wanted {
            let origin = QuestionOrigin::Input { call: call_id, key, method: method.clone() };
            let number = self.questions.add_question(call_id.client, Question { origin });
            let params = if is_url_mode(&params) { with_elicitation_id(&params, number) } else { params };
            let question = answer::request(number, &method, &params);
            cx.send_to_client(call_id.client, question, About::During(id.clone()));
        }
        self.continue_with_input(call_id, cx);
    }

    /// Takes the answer of a client to what a server needs.
    pub(crate) fn take_input(
        &mut self,
        (call_id, key, method): (CallId, String, &str),
        (message, outcome): (&Message, &Outcome),
        cx: &mut EventContext<'_>,
    ) {
        let answer = match outcome {
            Outcome::Result(result) => message.bytes().slice(result.clone()),
            Outcome::Error(_) if method == "elicitation/create" => Bytes::from_static(CANCELLED),
            Outcome::Error(error) => {
                let text = json::find(message.bytes(), error.clone(), "message");
                let text = text.and_then(|at| json::string(message.bytes(), at)).unwrap_or(Cow::Borrowed(""));
                let text = format!("the client did not answer {method}: {text}");
                return self.fail_call(call_id, &text, cx);
            }
        };
        if let Some(input) = self.awaited_inputs.get_mut(call_id) {
            input.answers.insert(key, Some(answer));
        }
        self.continue_with_input(call_id, cx);
    }

    /// Makes a request again when all input is there: the next leg of the call.
    fn continue_with_input(&mut self, call_id: CallId, cx: &mut EventContext<'_>) {
        if !self.awaited_inputs.get_mut(call_id).is_some_and(|input| input.is_complete()) {
            return;
        }
        let Some(input) = self.awaited_inputs.take(call_id) else { return };
        self.calls.move_call(call_id, CallState::Routing);
        match with_input(&input) {
            Some(message) => {
                self.send_to_server(&input.server, QueuedRequest::new(call_id, Era::Legacy, message), cx);
            }
            None => self.fail_call(call_id, "the request with its input is too long", cx),
        }
    }

    /// Lets a client not be asked any more for what a call needs.
    pub(crate) fn withdraw_input(&mut self, call_id: CallId, why: &str, cx: &mut EventContext<'_>) {
        self.awaited_inputs.take(call_id);
        for number in self.questions.take_of_call(call_id) {
            cx.send_to_client(call_id.client, write_cancel(number, why), About::Session);
        }
    }

    /// Gives up the calls whose input has not come in time.
    pub(crate) fn expire_inputs(&mut self, cx: &mut EventContext<'_>) {
        for call_id in self.awaited_inputs.find_late(cx.time) {
            self.fail_call(call_id, "the input that the server needs has not come in time", cx);
        }
    }

    fn fail_call(&mut self, call_id: CallId, text: &str, cx: &mut EventContext<'_>) {
        self.withdraw_input(call_id, "the request has failed", cx);
        if let Some(call) = self.calls.finish_call(call_id) {
            cx.refuse(call_id.client, &call.id, -32603, text);
        }
    }

    fn finish_without_answer(&mut self, call_id: CallId, cx: &mut EventContext<'_>) {
        if let Some(call) = self.calls.finish_call(call_id) {
            cx.drop_request(call_id.client, call.id);
        }
    }
}

/// Reads what a server needs. An error reads after "the server".
fn read_input_requests(text: &[u8], result: &Range<usize>) -> Result<Vec<InputRequest>, &'static str> {
    const UNREADABLE: &str = "needs input, and does not say which";
    let Some(all) = json::find(text, result.clone(), "inputRequests") else { return Ok(Vec::new()) };
    let mut members = json::Members::new(&text[..all.end], all.start).map_err(|_| UNREADABLE)?;
    let mut wanted = Vec::new();
    while let Ok(Some(member)) = members.next_member() {
        if wanted.len() == MAX_INPUT_REQUESTS {
            return Err("needs more than 16 inputs at once");
        }
        let key = json::unescaped(&text[member.key.clone()]);
        let key =
            key.map_or_else(|| String::from_utf8_lossy(&text[member.key]).into_owned(), Cow::into_owned);
        let method = json::find(text, member.value.clone(), "method").and_then(|at| json::string(text, at));
        let params = json::find(text, member.value, "params");
        let params = params.map_or("{}".into(), |at| String::from_utf8_lossy(&text[at]).into_owned());
        let Some(method) = method.filter(|method| is_input_method(method)) else { return Err(UNREADABLE) };
        if wanted.iter().any(|other: &InputRequest| other.key == key) {
            return Err("needs two inputs under one name");
        }
        wanted.push(InputRequest { key, method: method.into_owned(), params });
    }
    Ok(wanted)
}

/// Whether a client of the modern era can be asked for this.
pub(crate) fn is_input_method(method: &str) -> bool {
    matches!(method, "elicitation/create" | "sampling/createMessage" | "roots/list")
}

fn is_url_mode(params: &str) -> bool {
    let mode = json::find(params.as_bytes(), 0..params.len(), "mode");
    mode.is_some_and(|at| &params[at] == "\"url\"")
}

/// A legacy client knows such a question by an id of its own (2025-11-25).
fn with_elicitation_id(params: &str, number: u64) -> String {
    params.replacen('{', &format!("{{\"elicitationId\":\"exai-{number}\","), 1)
}

/// A request with the input that its server needs.
fn with_input(input: &AwaitedInput) -> Option<Message> {
    let answers = input.answers.iter().filter_map(|(key, answer)| {
        let answer = String::from_utf8_lossy(answer.as_deref()?).into_owned();
        Some(format!("{}:{answer}", json::quote(key)))
    });
    let answers: Vec<String> = answers.collect();
    let mut members = Vec::new();
    if !answers.is_empty() {
        members.push(format!("\"inputResponses\":{{{}}}", answers.join(",")));
    }
    if let Some(state) = &input.state {
        members.push(format!("\"requestState\":{}", String::from_utf8_lossy(state)));
    }
    if members.is_empty() {
        return Some(input.request.clone());
    }
    let Kind::Request { params: Some(params), .. } = input.request.kind() else { return None };
    let at = params.start + 1;
    let edit = Edit { at: at..at, with: format!("{},", members.join(",")).into_bytes() };
    Message::parse(input.request.edited(vec![edit]).into_whole()).ok()
}
