//! The requests that servers have sent to the client: sampling, elicitation, roots.
//!
//! A daemon never uses the number of such a request again, and each daemon begins its numbers elsewhere. So the
//! numbers pass as they are, and an answer that comes after its link was lost is known to belong to no open request.

use std::collections::HashSet;

use exai_proto::{Id, answer};

/// The open requests of servers.
#[derive(Debug, Default)]
pub(super) struct ServerRequests {
    /// Sent over this link and neither answered nor withdrawn.
    open: HashSet<Id>,
}

impl ServerRequests {
    /// Notes a request of the daemon.
    pub(super) fn asked(&mut self, id: &[u8]) {
        self.open.insert(Id::from_json(number(id)));
    }

    /// Notes that a request is answered or withdrawn. Returns whether it was open.
    pub(super) fn closed(&mut self, id: &[u8]) -> bool {
        self.open.remove(&Id::from_json(number(id)))
    }

    /// The link is gone, and the answers are of no use. Returns the lines to tell the client, so that it can close a
    /// dialog on its screen.
    pub(super) fn lost(&mut self) -> Vec<u8> {
        let mut open: Vec<Id> = self.open.drain().collect();
        open.sort_unstable();
        let mut lines = Vec::new();
        for id in open {
            let id = String::from_utf8_lossy(id.as_json());
            let params = format!("{{\"requestId\":{id},\"reason\":\"the exai daemon went away\"}}");
            lines.extend_from_slice(&answer::notify("notifications/cancelled", &params));
            lines.push(b'\n');
        }
        lines
    }
}

/// The number of a request. Some clients answer with a string in its place, which the daemon understands as well.
fn number(id: &[u8]) -> &[u8] {
    id.strip_prefix(b"\"").and_then(|id| id.strip_suffix(b"\"")).unwrap_or(id)
}
