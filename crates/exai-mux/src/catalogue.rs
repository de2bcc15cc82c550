//! What a server offers, as it last said: the lists behind the aggregated endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::json;

use crate::event::ClientId;
use crate::limits::MAX_OUTDATED_LISTS;
use crate::resources::Resources;

/// The four lists of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates];
/// Those with a notification of their own that they have changed: that of the resources is for templates as well.
pub(crate) const CHANGING: [Kind; 3] = [Kind::Tools, Kind::Prompts, Kind::Resources];

impl Kind {
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.method() == method)
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Kind::Tools => "tools/list",
            Kind::Prompts => "prompts/list",
            Kind::Resources => "resources/list",
            Kind::Templates => "resources/templates/list",
        }
    }

    /// The key of the list in its result.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Prompts => "prompts",
            Kind::Resources => "resources",
            Kind::Templates => "resourceTemplates",
        }
    }

    /// The lists that a change of this one is announced for.
    pub(crate) fn announced(self) -> &'static [Kind] {
        match self {
            Kind::Tools => &[Kind::Tools],
            Kind::Prompts => &[Kind::Prompts],
            Kind::Resources | Kind::Templates => &[Kind::Resources, Kind::Templates],
        }
    }

    /// The list whose changes stand for those of this one.
    pub(crate) fn announced_as(self) -> Kind {
        if self == Kind::Templates { Kind::Resources } else { self }
    }

    /// What tells clients that the list has changed.
    pub(crate) fn changed(self) -> &'static str {
        match self {
            Kind::Tools => "notifications/tools/list_changed",
            Kind::Prompts => "notifications/prompts/list_changed",
            Kind::Resources | Kind::Templates => "notifications/resources/list_changed",
        }
    }
}

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
    pub(crate) owed: BTreeSet<(ClientId, Kind)>,
}

impl Catalogue {
    pub(crate) fn list(&self, kind: Kind) -> Option<&[Bytes]> {
        self.lists[kind as usize].as_deref()
    }

    /// The server has announced that a list is another now.
    pub(crate) fn changed(&mut self, kind: Kind) {
        self.changes[kind as usize] += 1;
    }

    /// As of how many changes a list is that is asked for now.
    pub(crate) fn changes(&self, kind: Kind) -> u64 {
        self.changes[kind as usize]
    }

    /// Whether a list is known, and was changed by no announcement since it was asked for.
    pub(crate) fn is_current(&self, kind: Kind) -> bool {
        self.as_of[kind as usize] == Some(self.changes(kind))
    }

    /// A list has come that was asked for as of so many changes. Whether it is to be asked for again at once, because
    /// the server has announced a change meanwhile.
    pub(crate) fn is_outdated(&mut self, kind: Kind, as_of: u64) -> bool {
        let outdated = &mut self.outdated[kind as usize];
        *outdated = if as_of == self.changes[kind as usize] { 0 } else { outdated.saturating_add(1) };
        (1..=MAX_OUTDATED_LISTS).contains(outdated)
    }

    /// A run has ended: what it has listed is of the past.
    pub(crate) fn run_ended(&mut self) {
        (self.as_of, self.outdated) = Default::default();
    }

    /// Takes a list. Returns whether it is another than was known. One that is older than what is known is not taken.
    pub(crate) fn learn(&mut self, kind: Kind, items: Vec<Bytes>, as_of: Option<u64>) -> bool {
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

    /// The tool or prompt that an aggregated name stands for, where the name had to be cut.
    pub(crate) fn uncut(&self, server: &str, aggregated: &str) -> Option<String> {
        let names = [Kind::Tools, Kind::Prompts].into_iter().filter_map(|kind| self.list(kind)).flatten();
        names
            .filter_map(|item| member(item, "name"))
            .find(|name| crate::names::aggregated(server, name) == aggregated)
    }
}

/// The text of a string member of a list item.
pub(crate) fn member(item: &Bytes, key: &str) -> Option<String> {
    let place = json::find(item, 0..item.len(), key)?;
    json::string(item, place).map(std::borrow::Cow::into_owned)
}

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
