//! The lists of one server, as the server last sent them.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::limits::MAX_OUTDATED_LISTS;
use crate::server::resources::Resources;
use crate::types::ids::ClientId;
use crate::types::list_kind::{ListKind, string_member};
use crate::types::names;

/// The lists of one server.
///
/// A server may change a list while it is being asked for it. So each list is known as of a number of changes: the
/// number that the server had announced when it was asked.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    lists: [Option<Vec<Bytes>>; 4],
    /// How many changes of each list the server has announced.
    changes: [u64; 4],
    /// As of how many changes each list is known. `None` if no instance that runs has sent it.
    as_of: [Option<u64>; 4],
    /// How many times in a row each list was outdated when it came.
    outdated: [u8; 4],
    pub(crate) resources: Resources,
    pub(crate) instructions: Option<String>,
    /// The clients that were answered without this list, or with an old one, because it did not come in time.
    pending_list_changed: BTreeSet<(ClientId, ListKind)>,
}

impl Catalogue {
    pub(crate) fn list(&self, kind: ListKind) -> Option<&[Bytes]> {
        self.lists[kind as usize].as_deref()
    }

    /// The server announces a change of a list.
    pub(crate) fn changed(&mut self, kind: ListKind) {
        self.changes[kind as usize] += 1;
    }

    /// How many changes of a list the server has announced.
    pub(crate) fn changes(&self, kind: ListKind) -> u64 {
        self.changes[kind as usize]
    }

    /// Whether a list is known, and the server has announced no change since it was asked for.
    pub(crate) fn is_current(&self, kind: ListKind) -> bool {
        self.as_of[kind as usize] == Some(self.changes(kind))
    }

    /// Counts whether a list that was asked for as of so many changes was outdated when it came. Returns whether it is
    /// to be asked for again at once, because the server has announced a change meanwhile.
    pub(crate) fn count_outdated(&mut self, kind: ListKind, as_of: u64) -> bool {
        let outdated = &mut self.outdated[kind as usize];
        *outdated = if as_of == self.changes[kind as usize] { 0 } else { outdated.saturating_add(1) };
        (1..=MAX_OUTDATED_LISTS).contains(outdated)
    }

    /// An instance has ended: the next may have other lists.
    pub(crate) fn run_ended(&mut self) {
        (self.as_of, self.outdated) = Default::default();
    }

    /// Learns a list. Returns whether it differs from the known one. A list that is older than the known one is
    /// dropped.
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

    /// Notes that a client is to be told when this list comes.
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

    /// Takes the clients that are to be told when any list comes.
    pub(crate) fn take_all_pending_list_changed(&mut self) -> BTreeSet<(ClientId, ListKind)> {
        std::mem::take(&mut self.pending_list_changed)
    }

    /// The lists that clients are waiting to hear of.
    pub(crate) fn pending_kinds(&self) -> BTreeSet<ListKind> {
        self.pending_list_changed.iter().map(|(_, kind)| *kind).collect()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending_list_changed.len()
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.pending_list_changed.retain(|(pending_list_changed, _)| *pending_list_changed != client);
    }

    /// Finds the tool or prompt whose aggregated name had to be cut to this one.
    pub(crate) fn find_uncut_name(&self, server: &str, aggregated: &str) -> Option<String> {
        let names =
            [ListKind::Tools, ListKind::Prompts].into_iter().filter_map(|kind| self.list(kind)).flatten();
        names
            .filter_map(|item| string_member(item, "name"))
            .find(|name| names::aggregated(server, name) == aggregated)
    }
}
