//! Questions of servers to clients: sampling, elicitation, roots; and the one that exai answers itself.

use std::ops::Range;

use exai_proto::client_question::{ClientDescription, DESCRIBE_CLIENT};
use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Message, answer};

use crate::handlers::question_recipient::{GONE, Recipient, Refusal};
use crate::instance::Instance;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::questions::{Question, QuestionOrigin};
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, InstanceId};

/// The answer to a question for a client of the modern era that belongs to no single request.
const NO_SESSION: &str =
    "the client has no session, and can be asked only because of a single request of its own";

impl Router {
    /// Passes a question on to the client that it is meant for, or answers it. If that client cannot be known, the
    /// server is told so. No client is ever asked in the place of another.
    pub(crate) fn handle_server_request(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        method: &Range<usize>,
        cx: &mut EventContext<'_>,
    ) {
        let own = Id::from_json(message.at(id));
        let method = message.str_at(method);
        if self
            .instances
            .get(instance_id)
            .and_then(Instance::ready)
            .is_some_and(|said| said.era == Era::Modern)
        {
            // There are no requests of servers in this era, and so no answers to them.
            return tracing::debug!(?instance_id, method, "dropped: a server of the modern era asks");
        }
        if method == "ping" {
            return cx.send_to_server(instance_id, answer::result(&own, b"{}"));
        }
        let Some(params) = message.params() else {
            tracing::debug!(?instance_id, method, "refused: {AMBIGUOUS}");
            return cx.send_to_server(instance_id, answer::error(&own, -32602, AMBIGUOUS));
        };
        let named = params.named_request.clone();
        let recipient = match &named {
            Some(named) => self.find_named_recipient(instance_id, message.at(named)),
            None if method == DESCRIBE_CLIENT => Err(Refusal::new(
                -32602,
                "exai/client needs `_meta` with `exai/request`: the id of a request",
            )),
            None => match self.take_further_question(instance_id, message, method) {
                Some(Ok(())) => return,
                Some(Err(refusal)) => Err(refusal),
                None => self.find_unnamed_recipient(instance_id, method, cx),
            },
        };
        let Recipient { client, call } = match recipient {
            Ok(recipient) => recipient,
            Err(refusal) => return refuse(instance_id, &own, &refusal, cx),
        };
        if method == DESCRIBE_CLIENT {
            let description = self.describe_client(client);
            return cx.send_to_server(instance_id, answer::result(&own, description.as_bytes()));
        }
        if named.is_none() && self.may_mean_parked_call(instance_id, client) {
            return refuse(instance_id, &own, &Refusal::new(-32603, NO_SESSION), cx);
        }
        if self.is_modern_recipient(client, call) {
            let parked = if let Some(call) = call {
                self.park_call(call, message, method, cx)
            } else {
                // The next question is to be clear.
                if let Some(instance) = self.instances.get_mut(instance_id) {
                    instance.fair_queue.make_serial();
                }
                Err(Refusal::new(-32603, NO_SESSION))
            };
            if let Err(refusal) = parked {
                refuse(instance_id, &own, &refusal, cx);
            }
            return;
        }
        if let Err(refusal) = self.check_question(client, method) {
            return refuse(instance_id, &own, &refusal, cx);
        }
        let request = call.and_then(|call| self.calls.get(call)).map(|call| call.id.clone());
        let token = params.token.clone();
        let own_token = token.as_ref().map(|token| Id::from_json(message.at(token)));
        let origin = QuestionOrigin::Server { instance: instance_id, id: own, token: own_token };
        let number = self.questions.add_question(client, Question { origin });
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit { at: id.clone(), with: digits.clone() }];
        edits.extend(token.map(|at| Edit { at, with: digits }));
        if let (Some(at), Some(request)) = (named, &request) {
            edits.push(Edit { at, with: request.as_json().to_vec() });
        }
        let about = request.map_or(About::Session, About::During);
        cx.send_to_client(client, message.edited(edits), about);
    }

    /// Whether a question is meant for a client that has no session, and so can be asked only in the place of an answer.
    fn is_modern_recipient(&self, client: ClientId, call: Option<CallId>) -> bool {
        match call.and_then(|call| self.calls.get(call)) {
            Some(call) => call.context.era == Era::Modern,
            None => self.clients.context(client).is_none(),
        }
    }

    /// A [`ClientDescription`] as JSON text.
    fn describe_client(&self, client: ClientId) -> String {
        let client = self.clients.get(client);
        let said = client.and_then(|client| client.any_context());
        let description = ClientDescription {
            name: said.and_then(|said| said.name.clone()),
            version: said.and_then(|said| said.build.clone()),
            label: client.and_then(|client| client.label()).map(ToOwned::to_owned),
            directory: client.and_then(|client| client.directory.as_deref()).map(ToOwned::to_owned),
            capabilities: said
                .into_iter()
                .flat_map(|said| said.can.keys())
                .map(|can| can.name().to_owned())
                .collect(),
        };
        serde_json::json!(description).to_string()
    }

    /// Tells a server that a client will not answer its questions any more.
    pub(crate) fn decline_questions(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        for question in self.questions.take_between(client, instance) {
            if let QuestionOrigin::Server { id, .. } = question.origin {
                cx.send_to_server(instance, answer::error(&id, -32603, GONE));
            }
        }
    }
}

fn refuse(instance: InstanceId, id: &Id, refusal: &Refusal, cx: &mut EventContext<'_>) {
    cx.send_to_server(instance, answer::error(id, refusal.code, &refusal.text));
}
