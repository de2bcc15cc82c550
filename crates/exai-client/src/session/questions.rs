//! What servers have asked the client: sampling, elicitation, roots.
//!
//! Every daemon numbers its questions from 1. To the client it is one conversation: an answer to a daemon that is
//! gone must not be taken for the answer to the next one's question of the same number. So on every link but the
//! first the client gets to see ids of our own, which no other link has.

use std::collections::HashMap;

use exai_proto::json::Edit;
use exai_proto::{Id, answer};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// How many links were lost.
    lost: u32,
    last: u64,
    /// By the id that the client knows, the daemon's own.
    open: HashMap<Id, Id>,
}

/// What an id becomes on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// It stays.
    Same,
    Other(Id),
    /// Nothing is asked under it on this link.
    Unknown,
}

impl Name {
    /// The change of a text in which the id is at this place.
    pub(super) fn edit(self, at: std::ops::Range<usize>) -> Option<Edit> {
        match self {
            Name::Same => None,
            Name::Other(id) => Some(Edit { at, with: id.as_json().to_vec() }),
            Name::Unknown => Some(Edit { at, with: Id::null().as_json().to_vec() }),
        }
    }
}

impl Questions {
    /// A daemon asks. What the client gets to see.
    pub(super) fn asked(&mut self, id: &[u8]) -> Name {
        let own = Id::from_json(id);
        if self.lost == 0 {
            self.open.insert(own.clone(), own);
            return Name::Same;
        }
        self.last += 1;
        let shown = Id::from_json(format!("\"exai-{}-{}\"", self.lost, self.last).as_bytes());
        self.open.insert(shown.clone(), own);
        Name::Other(shown)
    }

    /// The client answers. What the daemon gets to see.
    pub(super) fn answered(&mut self, id: &[u8]) -> Name {
        match self.open.remove(&Id::from_json(id)) {
            // What it may mean with an id of its own on the first link is the daemon's to find out.
            _ if self.lost == 0 => Name::Same,
            Some(own) => Name::Other(own),
            None => Name::Unknown,
        }
    }

    /// The daemon does not want an answer any more. What the client gets to see.
    pub(super) fn withdrawn(&mut self, id: &[u8]) -> Name {
        let shown = self.open.iter().find(|(_, own)| own.as_json() == id).map(|(shown, _)| shown.clone());
        if let Some(shown) = &shown {
            self.open.remove(shown);
        }
        match shown {
            _ if self.lost == 0 => Name::Same,
            Some(shown) => Name::Other(shown),
            None => Name::Unknown,
        }
    }

    /// The link is gone, and nobody waits for the answers. What to tell the client (lines): a question on its screen
    /// may go.
    pub(super) fn lost(&mut self) -> Vec<u8> {
        self.lost += 1;
        let mut open: Vec<Id> = self.open.drain().map(|(shown, _)| shown).collect();
        open.sort_unstable();
        let mut lines = Vec::new();
        for shown in open {
            let id = String::from_utf8_lossy(shown.as_json());
            let params = format!("{{\"requestId\":{id},\"reason\":\"the exai daemon went away\"}}");
            lines.extend_from_slice(&answer::notify("notifications/cancelled", &params));
            lines.push(b'\n');
        }
        lines
    }
}
