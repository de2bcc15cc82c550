//! What waits for an instance to become ready.

use std::collections::VecDeque;
use std::time::Instant;

use exai_proto::Id;

use crate::instance::fair_queue::QueuedRequest;
use crate::limits::{MAX_STARTING_BYTES, MAX_STARTING_MESSAGES};
use crate::types::ids::{CallId, ClientId};
use crate::types::list_kind::ListKind;

/// Something that waits for an instance to become ready.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A client's `initialize` on the server's own endpoint. It must not be cancelled (basic/utilities/cancellation of
    /// the specification).
    Initialize { client: ClientId, id: Id },
    /// A client's `server/discover` on the server's own endpoint, and until when it waits.
    Discover { client: ClientId, id: Id, until: Instant },
    /// Another request of a client.
    Call(QueuedRequest),
    /// A list that the router wants, and since when.
    List(ListKind, Instant),
}

impl Waiting {
    pub(crate) fn client(&self) -> Option<ClientId> {
        match self {
            Waiting::Initialize { client, .. } | Waiting::Discover { client, .. } => Some(*client),
            Waiting::Call(queued) => Some(queued.call.client),
            Waiting::List(..) => None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Waiting::Call(queued) => queued.message.bytes().len(),
            Waiting::Initialize { .. } | Waiting::Discover { .. } | Waiting::List(..) => 0,
        }
    }
}

/// What waits for one instance to become ready, in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct StartQueue {
    waiting: VecDeque<Waiting>,
}

impl StartQueue {
    /// Whether one more message, of this many bytes, may wait with the others.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < MAX_STARTING_MESSAGES
            && self.waiting.iter().map(Waiting::bytes).sum::<usize>() + bytes <= MAX_STARTING_BYTES
    }

    pub(crate) fn add(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Takes out a call that its client has cancelled. Returns whether the call was there.
    pub(crate) fn remove_call(&mut self, call: CallId) -> bool {
        let is_it = |waiting: &Waiting| matches!(waiting, Waiting::Call(queued) if queued.call == call);
        let found = self.waiting.iter().position(is_it);
        found.map(|at| self.waiting.remove(at)).is_some()
    }

    /// Takes out everything that a client waits for.
    pub(crate) fn take_client(&mut self, client: ClientId) -> VecDeque<Waiting> {
        let (taken, kept) =
            self.waiting.drain(..).partition(|waiting: &Waiting| waiting.client() == Some(client));
        self.waiting = kept;
        taken
    }

    pub(crate) fn take_all(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Since when a list has been waiting to be asked for.
    pub(crate) fn list_since(&self, kind: ListKind) -> Option<Instant> {
        self.waiting.iter().find_map(|waiting| match waiting {
            Waiting::List(other, asked) if *other == kind => Some(*asked),
            Waiting::List(..) | Waiting::Initialize { .. } | Waiting::Discover { .. } | Waiting::Call(_) => {
                None
            }
        })
    }

    /// Whether a client waits for the server to introduce itself.
    pub(crate) fn has_introduction(&self) -> bool {
        let is_one =
            |waiting: &Waiting| matches!(waiting, Waiting::Initialize { .. } | Waiting::Discover { .. });
        self.waiting.iter().any(is_one)
    }

    /// When the first `server/discover` has waited for long enough.
    pub(crate) fn next_discover_deadline(&self) -> Option<Instant> {
        let until = |waiting: &Waiting| match waiting {
            Waiting::Discover { until, .. } => Some(*until),
            Waiting::Initialize { .. } | Waiting::Call(_) | Waiting::List(..) => None,
        };
        self.waiting.iter().filter_map(until).min()
    }

    /// Takes each `server/discover` that has waited for long enough.
    pub(crate) fn take_expired_discovers(&mut self, time: Instant) -> Vec<(ClientId, Id)> {
        let is_due = |waiting: &Waiting| matches!(waiting, Waiting::Discover { until, .. } if *until <= time);
        let (due, kept) = self.waiting.drain(..).partition(is_due);
        self.waiting = kept;
        let due: VecDeque<Waiting> = due;
        due.into_iter()
            .filter_map(|waiting| match waiting {
                Waiting::Discover { client, id, .. } => Some((client, id)),
                Waiting::Initialize { .. } | Waiting::Call(_) | Waiting::List(..) => None,
            })
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
