//! Calls whose client was asked to show its user a page, and which wait until the user has signed in there.

use std::sync::Arc;
use std::time::Instant;

use crate::instance::fair_queue::QueuedRequest;
use crate::limits::MAX_AWAITED_SIGN_IN_BYTES;
use crate::types::ids::{CallId, ClientId};

/// These calls, the oldest first. Each is one of the calls of its client, whose number is bounded.
#[derive(Debug, Default)]
pub(crate) struct AwaitedSignIns(Vec<AwaitedSignIn>);

#[derive(Debug)]
struct AwaitedSignIn {
    server: Arc<str>,
    queued: QueuedRequest,
    until: Instant,
}

impl AwaitedSignIns {
    /// Whether a message of this length may wait.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let held: usize = self.0.iter().map(|waiting| waiting.queued.message.bytes().len()).sum();
        held + bytes <= MAX_AWAITED_SIGN_IN_BYTES
    }

    pub(crate) fn add(&mut self, server: Arc<str>, queued: QueuedRequest, until: Instant) {
        self.0.push(AwaitedSignIn { server, queued, until });
    }

    pub(crate) fn remove_call(&mut self, call: CallId) {
        self.0.retain(|waiting| waiting.queued.call != call);
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.0.retain(|waiting| waiting.queued.call.client != client);
    }

    /// Takes those of a server.
    pub(crate) fn take_of(&mut self, server: &str) -> Vec<QueuedRequest> {
        self.0.extract_if(.., |waiting| *waiting.server == *server).map(|waiting| waiting.queued).collect()
    }

    /// Takes those that have waited for long enough, each with its server.
    pub(crate) fn take_late(&mut self, time: Instant) -> Vec<(Arc<str>, QueuedRequest)> {
        let late = self.0.extract_if(.., |waiting| waiting.until <= time);
        late.map(|waiting| (waiting.server, waiting.queued)).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|waiting| waiting.until).min()
    }
}
