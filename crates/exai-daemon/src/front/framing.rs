//! What the frames of a WebSocket mean.

use std::time::Instant;

use bytes::Bytes;
use exai_proto::Segments;
use exai_proto::limits::LONG_BYTES;

use crate::client::message_checks::MessageChecks;
use crate::front::origin_wire::{Moment, OriginWire};

/// What the frames of a connection mean.
#[derive(Debug, Clone)]
pub(crate) enum Framing {
    /// The link: binary frames are messages, text frames are control messages.
    Link,
    /// Subprotocol `mcp`: text frames are messages; binary frames are taken, too.
    Mcp,
    /// The origin's wire: text frames are ops; binary frames are taken, too.
    Origin(OriginWire),
}

impl Framing {
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Framing::Link)
    }

    /// When the writer must write something even if nothing waits.
    pub(crate) fn next_report(&self) -> Option<Instant> {
        match self {
            Framing::Link | Framing::Mcp => None,
            Framing::Origin(wire) => wire.next_report(),
        }
    }

    /// What the writer writes then.
    pub(crate) fn report(&self) -> Vec<Bytes> {
        match self {
            Framing::Link | Framing::Mcp => Vec::new(),
            Framing::Origin(wire) => wire.report(Moment::now()),
        }
    }

    /// What is written of what waits for the peer.
    pub(crate) async fn write_out(&self, waiting: Segments, checks: &MessageChecks) -> Option<Segments> {
        let Framing::Origin(wire) = self else { return Some(waiting) };
        let told = if waiting.len() < LONG_BYTES {
            wire.tell(waiting.into_whole(), Moment::now())
        } else {
            let wire = wire.clone();
            checks.run_check(move || wire.tell(waiting.into_whole(), Moment::now())).await.flatten()
        };
        told.map(Segments::from)
    }
}
