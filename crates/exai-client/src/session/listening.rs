//! Which requests are listens, and when one ends.

use exai_proto::Id;
use exai_proto::answer::Failure;

use super::listens::ListenState;
use super::methods;
use super::replies::failures;
use super::state::{Phase, Session};
use crate::limits::{MAX_LISTEN_BYTES, MAX_LISTENS};
use crate::peek::{self, Peeked};

impl Session {
    /// Adds a request to the open listens, if it is one and they take it.
    pub(super) fn listen(&mut self, id: &Id, request: &[u8], method: &[u8], state: ListenState) -> bool {
        methods::is_listen(request, method) && self.listens.add(id.clone(), request, state)
    }

    /// The refusal of a line with a listen for which there is no room.
    pub(super) fn too_many_listens(&self, line: &[u8]) -> Option<Vec<u8>> {
        if self.listens.has_room(line.len()) {
            return None;
        }
        let mut listens = false;
        peek::peek_each(line, |part, peeked| {
            if let Peeked::Request { method, .. } = peeked {
                listens |= methods::is_listen(&line[part], &peek::method_name(line, method));
            }
        });
        let sentence = format!(
            "a client may have {MAX_LISTENS} open subscriptions with {} MiB of text in all",
            MAX_LISTEN_BYTES >> 20
        );
        listens.then(|| failures(line, Failure::Overloaded, &sentence))
    }

    /// Notes that a daemon ends a listen. Returns whether the listen goes on nevertheless: a daemon that makes room for
    /// another ends what it has, and the next daemon gets the listen.
    pub(super) fn listen_goes_on(&mut self, id: &Id) -> bool {
        match self.phase {
            Phase::Holding | Phase::Leaving(_) => self.listens.wait(id),
            Phase::Up | Phase::Down { .. } => {
                self.listens.end(id);
                false
            }
        }
    }
}
