//! Calls of legacy clients at servers of the modern era that need further input: what was asked, and what has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::Message;

use crate::types::ids::{CallId, ClientId};

/// All calls that wait for input.
#[derive(Debug, Default)]
pub(crate) struct AwaitedInputs {
    by_call: BTreeMap<CallId, AwaitedInput>,
}

/// A call that waits for input.
#[derive(Debug)]
pub(crate) struct AwaitedInput {
    pub(crate) server: Arc<str>,
    /// The request as its client has sent it.
    pub(crate) request: Message,
    /// What the server wants back as it is: the JSON text of `requestState`.
    pub(crate) state: Option<Bytes>,
    /// What was asked under which key, and the answers as JSON texts.
    pub(crate) answers: BTreeMap<String, Option<Bytes>>,
    pub(crate) until: Instant,
}

impl AwaitedInput {
    pub(crate) fn is_complete(&self) -> bool {
        self.answers.values().all(Option::is_some)
    }
}

impl AwaitedInputs {
    pub(crate) fn add(&mut self, call: CallId, input: AwaitedInput) {
        self.by_call.insert(call, input);
    }

    pub(crate) fn get_mut(&mut self, call: CallId) -> Option<&mut AwaitedInput> {
        self.by_call.get_mut(&call)
    }

    pub(crate) fn take(&mut self, call: CallId) -> Option<AwaitedInput> {
        self.by_call.remove(&call)
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.by_call.retain(|call, _| call.client != client);
    }

    /// The calls whose input has not come in time.
    pub(crate) fn find_late(&self, time: Instant) -> Vec<CallId> {
        self.by_call.iter().filter(|(_, input)| input.until <= time).map(|(call, _)| *call).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_call.values().map(|input| input.until).min()
    }
}
