//! Clients of the aggregated endpoint that wait for lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::types::ids::ClientId;
use crate::types::list_kind::Kind;

/// A client of the aggregated endpoint that waits for lists.
#[derive(Debug)]
pub(crate) struct Gathering {
    pub(crate) client: ClientId,
    pub(crate) id: exai_proto::Id,
    pub(crate) then: Then,
    /// Servers whose list is not there yet, and how long each is waited for.
    pub(crate) missing: BTreeMap<(Arc<str>, Kind), Instant>,
}

impl Gathering {
    pub(crate) fn waits_for(&self, server: &Arc<str>, kind: Kind) -> bool {
        self.missing.contains_key(&(server.clone(), kind))
    }

    /// When it ends without what is missing.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.missing.values().max().copied()
    }
}

/// What is done when the lists are there.
#[derive(Debug)]
pub(crate) enum Then {
    /// The list is the answer.
    Answer(Kind),
    /// The message can now be routed: the owner of a resource or a cut name was not known.
    Route(exai_proto::Message),
}
