//! What a server offers, as it last said: the lists behind the aggregated endpoint.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::limits::MAX_OUTDATED_LISTS;
use crate::server::resources::Resources;
use crate::types::ids::ClientId;
use crate::types::list_kind::{ListKind, string_member};
use crate::types::names;

/// The lists of one server.
///
/// A server may change a list while it is being asked for it. So each list is known as of a number of changes: that
/// which the server had announced when it was asked.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    lists: [Option<Vec<Bytes>>; 4],
    /// How many changes of each list the server has announced.
    changes: [u64; 4],
    /// How many of them each list takes into account. `None` for one that no run has told that there is now.
    as_of: [Option<u64>; 4],
    /// How many times in a row each list was outdated when it came.
    outdated: [u8; 4],
    pub(crate) resources: Resources,
    pub(crate) instructions: Option<String>,
    /// Clients that were answered without this server's list, or with an old one, because it was not there
    /// in time.
    pending_list_changed: BTreeSet<(ClientId, ListKind)>,
}

impl Catalogue {
    pub(crate) fn list(&self, kind: ListKind) -> Option<&[Bytes]> {
        self.lists[kind as usize].as_deref()
    }

    /// The server has announced that a list is another now.
    pub(crate) fn changed(&mut self, kind: ListKind) {
        self.changes[kind as usize] += 1;
    }

    /// As of how many changes a list is that is asked for now.
    pub(crate) fn changes(&self, kind: ListKind) -> u64 {
        self.changes[kind as usize]
    }

    /// Whether a list is known, and was changed by no announcement since it was asked for.
    pub(crate) fn is_current(&self, kind: ListKind) -> bool {
        self.as_of[kind as usize] == Some(self.changes(kind))
    }

    /// Counts whether a list that was asked for as of so many changes was outdated when it came. Returns whether it is to
    /// be asked for again at once, because the server has announced a change meanwhile.
    pub(crate) fn count_outdated(&mut self, kind: ListKind, as_of: u64) -> bool {
        let outdated = &mut self.outdated[kind as usize];
        *outdated = if as_of == self.changes[kind as usize] { 0 } else { outdated.saturating_add(1) };
        (1..=MAX_OUTDATED_LISTS).contains(outdated)
    }

    /// A run has ended: what it has listed is of the past.
    pub(crate) fn run_ended(&mut self) {
        (self.as_of, self.outdated) = Default::default();
    }

    /// Takes a list. Returns whether it is another than was known. One that is older than what is known is not taken.
    pub(crate) fn learn(&mut self, kind: ListKind, items: Vec<Bytes>, as_of: Option<u64>) -> bool {
        if self.as_of[kind as usize] > as_of {
            return false;
        }
        self.as_of[kind as usize] = as_of;
        let known = &mut self.lists[kind as usize];
        let is_news = known.as_ref() != Some(&items);
        if is_news {
            self.resources.learn(kind, &items);
            *known = Some(items);
        }
        is_news
    }

    /// A client is to be told when this list comes.
    pub(crate) fn note_pending_list_changed(&mut self, client: ClientId, kind: ListKind) {
        self.pending_list_changed.insert((client, kind));
    }

    /// Takes the clients that are to be told when this list comes.
    pub(crate) fn take_pending_list_changed(&mut self, kind: ListKind) -> Vec<ClientId> {
        self.pending_list_changed
            .extract_if(.., |(_, pending_list_changed)| *pending_list_changed == kind)
            .map(|(client, _)| client)
            .collect()
    }

    /// The lists that clients are to be told of.
    pub(crate) fn pending_kinds(&self) -> BTreeSet<ListKind> {
        self.pending_list_changed.iter().map(|(_, kind)| *kind).collect()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending_list_changed.len()
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.pending_list_changed.retain(|(pending_list_changed, _)| *pending_list_changed != client);
    }

    /// The tool or prompt that an aggregated name stands for, where the name had to be cut.
    pub(crate) fn find_uncut_name(&self, server: &str, aggregated: &str) -> Option<String> {
        let names =
            [ListKind::Tools, ListKind::Prompts].into_iter().filter_map(|kind| self.list(kind)).flatten();
        names
            .filter_map(|item| string_member(item, "name"))
            .find(|name| names::aggregated(server, name) == aggregated)
    }
}
