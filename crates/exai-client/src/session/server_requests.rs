//! What servers have asked the client: sampling, elicitation, roots.
//!
//! A daemon never uses the number of a question again, and each daemon begins its numbers elsewhere. So the numbers
//! pass as they are, and an answer that comes after its link is known to belong to nothing that is open.

use std::collections::HashSet;

use exai_proto::{Id, answer};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ServerRequests {
    /// Asked over this link and neither answered nor withdrawn.
    open: HashSet<Id>,
}

impl ServerRequests {
    /// The daemon asks.
    pub(super) fn asked(&mut self, id: &[u8]) {
        self.open.insert(Id::from_json(number(id)));
    }

    /// It is answered, or the daemon does not want an answer any more. Whether it was open.
    pub(super) fn closed(&mut self, id: &[u8]) -> bool {
        self.open.remove(&Id::from_json(number(id)))
    }

    /// The link is gone, and nobody waits for the answers. What to tell the client (lines): a question on its screen
    /// may go.
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

/// The number of a question. Some clients answer it as a string, which the daemon understands as well.
fn number(id: &[u8]) -> &[u8] {
    id.strip_prefix(b"\"").and_then(|id| id.strip_suffix(b"\"")).unwrap_or(id)
}
