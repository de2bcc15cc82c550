//! What waits for an instance to become ready.

use std::collections::VecDeque;
use std::time::Instant;

use exai_proto::Id;

use crate::instance::fair_queue::Held;
use crate::limits::{MAX_STARTING_BYTES, MAX_STARTING_MESSAGES};
use crate::types::ids::ClientId;
use crate::types::list_kind::Kind;

/// What waits for an instance to become ready.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A client's `initialize` on the server's own endpoint.
    Initialize { client: ClientId, id: Id },
    /// Anything else a client sent.
    Message(Held),
    /// A list for the catalogue, since it was asked for.
    List(Kind, Instant),
}

impl Waiting {
    pub(crate) fn client(&self) -> Option<ClientId> {
        match self {
            Waiting::Initialize { client, .. } | Waiting::Message(Held { client, .. }) => Some(*client),
            Waiting::List(..) => None,
        }
    }

    /// The id of the request that waits.
    pub(crate) fn id(&self) -> Option<Id> {
        match self {
            Waiting::Initialize { id, .. } => Some(id.clone()),
            Waiting::Message(held) => held.id(),
            Waiting::List(..) => None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Waiting::Message(held) => held.message.bytes().len(),
            Waiting::Initialize { .. } | Waiting::List(..) => 0,
        }
    }
}

/// Whether one more message, of this many bytes, may wait with the others.
pub(crate) fn has_room(waiting: &VecDeque<Waiting>, bytes: usize) -> bool {
    waiting.len() < MAX_STARTING_MESSAGES
        && waiting.iter().map(Waiting::bytes).sum::<usize>() + bytes <= MAX_STARTING_BYTES
}

pub(crate) fn waits_with(waiting: &Waiting, client_id: ClientId, unwanted: &Id) -> bool {
    // `initialize` must not be cancelled (basic/utilities/cancellation of the specification).
    matches!(waiting, Waiting::Message(held) if held.client == client_id)
        && waiting.id().as_ref() == Some(unwanted)
}
