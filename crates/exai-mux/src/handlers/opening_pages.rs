//! Calls of clients of the modern era whose user is to open a page first, for a sign-in or because the server says so. Such a
//! call is answered that input is required, and made again when the user has agreed.
//!
//! To agree is not to have signed in. A call that comes again waits here for the sign-in: a client that is asked at once
//! would ask its user at once.

use std::ops::Range;
use std::time::Instant;

use exai_proto::answer::{SIGN_IN_KIND, URL_ELICITATION_REQUIRED};
use exai_proto::json;
use exai_proto::modern::{MISSING_CAPABILITY, error_code};
use exai_proto::{Message, answer};

use crate::handlers::parking::{Resumed, without_input, write_input_required};
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::{INPUT_TIMEOUT, MAX_INPUT_REQUESTS, SIGN_IN_WAIT};
use crate::router::Router;
use crate::router::calls::{Call, CallState};
use crate::router::event_context::EventContext;
use crate::router::parked_calls::{ParkedAt, ParkedCall};
use crate::types::capability::ClientCapability;
use crate::types::client_context::ClientContext;
use crate::types::event::Down;
use crate::types::ids::{CallId, ClientId};

/// The first part of the keys of addresses that are to be opened.
const ADDRESS_KEY: &str = "address-";

/// Why a user is to open a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// To sign in, which exai notices.
    SignIn,
    /// The server knows.
    Server,
}

impl Router {
    /// Takes a request of the modern era that is made again after its client was asked to open an address for a server of
    /// that era. What the state of any other request means is the server's business.
    pub(crate) fn resume_opened_call(
        &mut self,
        call_id: CallId,
        server: &str,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> Resumed {
        let Some(ParkedCall { at: ParkedAt::Nowhere { sign_in_wanted_at }, .. }) =
            self.take_opened_call(call_id, message)
        else {
            return Resumed::NotParked;
        };
        self.go_on_after_page(call_id, server, (message, sign_in_wanted_at), cx)
    }

    fn take_opened_call(&mut self, call_id: CallId, message: &Message) -> Option<ParkedCall> {
        let place = message.params()?.request_state.clone()?;
        let claim = self.claim_with(call_id, message)?;
        let state = json::string(message.bytes(), place)?;
        let is_nowhere = |at: &ParkedAt| matches!(at, ParkedAt::Nowhere { .. });
        self.parked_calls.take_claimed(&state, claim, is_nowhere)
    }

    /// Goes on with a request whose client was asked to open a page.
    pub(super) fn go_on_after_page(
        &mut self,
        call_id: CallId,
        server: &str,
        (message, sign_in_wanted_at): (&Message, Option<Instant>),
        cx: &mut EventContext<'_>,
    ) -> Resumed {
        if is_declined(message) {
            if let Some(call) = self.calls.finish_call(call_id) {
                let why = Down::because("wants its user to open a page first, which the user has declined");
                cx.unavailable(call_id.client, &call.id, server, &why);
            }
            return Resumed::Done;
        }
        let anew = |message| Resumed::Anew { message, sign_in_wanted_at };
        without_input(message).map_or(Resumed::NotParked, anew)
    }

    /// Lets a call that its client has made again wait until somebody has signed in, if that was wanted at this time and
    /// nobody has since. Returns the call if it is to go on now.
    pub(crate) fn await_sign_in(
        &mut self,
        server: &str,
        queued: QueuedRequest,
        wanted_at: Option<Instant>,
        time: Instant,
    ) -> Option<QueuedRequest> {
        let (Some(wanted_at), Some(known)) = (wanted_at, self.servers.get(server)) else {
            return Some(queued);
        };
        let has_signed_in = known.signed_in_at.is_some_and(|at| at >= wanted_at);
        if has_signed_in || !self.awaited_sign_ins.has_room(queued.message.bytes().len()) {
            return Some(queued);
        }
        self.calls.move_call(queued.call, CallState::AwaitingSignIn);
        self.awaited_sign_ins.add(known.policy.name.clone(), queued, time + SIGN_IN_WAIT);
        None
    }

    /// Lets the calls go on for which somebody has signed in.
    pub(crate) fn resume_after_sign_in(&mut self, server: &str, cx: &mut EventContext<'_>) {
        for queued in self.awaited_sign_ins.take_of(server) {
            self.send_to_server(server, queued, cx);
        }
    }

    /// Lets the calls go on that have waited for long enough: should nobody have signed in yet, the client is asked again.
    pub(crate) fn expire_awaited_sign_ins(&mut self, cx: &mut EventContext<'_>) {
        for (server, queued) in self.awaited_sign_ins.take_late(cx.time) {
            self.send_to_server(&server, queued, cx);
        }
    }

    /// Answers a client of the modern era at a server of the legacy era that wants the user to open addresses first:
    /// input is required, and then the request is made anew. Returns whether it was answered.
    pub(crate) fn ask_for_addresses(
        &mut self,
        call_id: CallId,
        (message, error): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) -> bool {
        let text = message.bytes();
        if error_code(text, error.clone()) != Some(URL_ELICITATION_REQUIRED) {
            return false;
        }
        let Some(call) = self.calls.finish_call(call_id) else { return true };
        let wanted = json::find_path(text, error.clone(), &["data", "elicitations"]);
        let wanted = wanted.into_iter().flat_map(|all| json::elements(text, all));
        let wanted = wanted.map(|params| String::from_utf8_lossy(&text[params]).into_owned());
        let wanted: Vec<String> = wanted.take(MAX_INPUT_REQUESTS).collect();
        let said = json::find(text, error.clone(), "message").and_then(|at| json::string(text, at));
        let kind =
            json::find_path(text, error.clone(), &["data", "kind"]).and_then(|at| json::string(text, at));
        let why = if kind.as_deref() == Some(SIGN_IN_KIND) { Why::SignIn } else { Why::Server };
        self.ask_to_open((call_id.client, call), (&wanted, why), said.as_deref(), cx);
        true
    }

    /// Answers a call of the modern era that its client is to ask the user to open addresses first: `wanted` are the parameters
    /// of these questions. If it cannot, or there is no room, the call fails with what `said` says about it.
    pub(super) fn ask_to_open(
        &mut self,
        (client, call): (ClientId, Call),
        (wanted, why): (&[String], Why),
        said: Option<&str>,
        cx: &mut EventContext<'_>,
    ) {
        let claim = self
            .make_claim(client, &call)
            .filter(|_| can_open(&call.context) && self.parked_calls.has_room(self.claimant(client)));
        let Some(claim) = claim.filter(|_| !wanted.is_empty()) else {
            let data = r#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#;
            let text = said.unwrap_or("the server needs the user to open an address first");
            let error = answer::error_with_data(&call.id, MISSING_CAPABILITY, text, data);
            return cx.answer(client, call.id, error);
        };
        let request = |(at, params)| {
            format!("\"{ADDRESS_KEY}{at}\":{{\"method\":\"elicitation/create\",\"params\":{params}}}")
        };
        let requests: Vec<String> = wanted.iter().enumerate().map(request).collect();
        let state = self.parked_calls.mint_state();
        cx.answer(client, call.id.clone(), write_input_required(&call.id, &requests.join(","), &state));
        let sign_in_wanted_at = (why == Why::SignIn).then_some(cx.time);
        let (until, at) = (cx.time + INPUT_TIMEOUT, ParkedAt::Nowhere { sign_in_wanted_at });
        self.parked_calls.add(state, ParkedCall { claim, context: call.context, by: client, until, at });
    }
}

/// Whether a client can show its user an address.
pub(super) fn can_open(context: &ClientContext) -> bool {
    let declared = context.can.get(&ClientCapability::Elicitation);
    declared.is_some_and(|declared| json::find(declared.as_bytes(), 0..declared.len(), "url").is_some())
}

/// Whether the client says that its user has not agreed to open a page.
fn is_declined(message: &Message) -> bool {
    let Some(responses) = message.params().and_then(|params| params.input_responses.clone()) else {
        return false;
    };
    let text = message.bytes();
    (0..MAX_INPUT_REQUESTS).any(|at| {
        let action = json::find_path(text, responses.clone(), &[&format!("{ADDRESS_KEY}{at}"), "action"]);
        action.and_then(|action| json::string(text, action)).is_some_and(|action| action != "accept")
    })
}
