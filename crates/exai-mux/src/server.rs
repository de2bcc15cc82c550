//! What the router knows of one configured server.

pub(crate) mod announced_changes;
pub(crate) mod behaviour_observer;
pub(crate) mod catalogue;
pub(crate) mod handed_out;
pub(crate) mod health;
pub(crate) mod list_health;
pub(crate) mod repeatable_tools;
pub(crate) mod resources;
pub(crate) mod uri_template;

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::{json, limits};

use crate::server::announced_changes::AnnouncedChanges;
use crate::server::behaviour_observer::BehaviourObserver;
use crate::server::catalogue::Catalogue;
use crate::server::health::Health;
use crate::server::list_health::ListHealth;
use crate::server::repeatable_tools::may_be;
use crate::types::ids::ClientId;
use crate::types::initialize_result::InitializeResult;
use crate::types::list_kind::{ListKind, string_member};
use crate::types::policy::{Policy, Share};

/// A configured server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) policy: Policy,
    pub(crate) catalogue: Catalogue,
    pub(crate) health: Health,
    pub(crate) list_health: ListHealth,
    pub(crate) announced_changes: AnnouncedChanges,
    pub(crate) next_number: u32,
    /// What the server last answered to `initialize`.
    pub(crate) initialize_result: Option<InitializeResult>,
    /// What the server was seen to do with the capabilities of its clients.
    pub(crate) behaviour: BehaviourObserver,
    /// Clients that had subscribed to resources of an instance that ended. The server is started for them again, and
    /// they are told that they may have missed something.
    pub(crate) interrupted: BTreeSet<ClientId>,
    /// The tools that may be called twice, as the server declares.
    pub(crate) repeatable: BTreeSet<String>,
}

/// Whether the server runs without clients.
pub(crate) fn is_eager(policy: &Policy) -> bool {
    policy.eager && policy.share != Share::Client
}

impl Server {
    pub(crate) fn new(policy: Policy) -> Self {
        Server {
            policy,
            catalogue: Catalogue::default(),
            health: Health::default(),
            list_health: ListHealth::default(),
            announced_changes: AnnouncedChanges::default(),
            next_number: 1,
            initialize_result: None,
            behaviour: BehaviourObserver::default(),
            interrupted: BTreeSet::new(),
            repeatable: BTreeSet::new(),
        }
    }

    /// Keeps what the server has answered to `initialize`.
    pub(crate) fn set_initialize_result(&mut self, ready: InitializeResult) {
        let place = json::find(&ready.result, 0..ready.result.len(), "instructions");
        let text = place.and_then(|place| json::string(&ready.result, place));
        self.catalogue.instructions = text.map(|text| limits::cut(&text, limits::INSTRUCTIONS_CHARS));
        self.initialize_result = Some(ready);
    }

    /// A known list as the result of its method, without the tools that the configuration blocks.
    pub(crate) fn write_known_list(&self, kind: ListKind) -> Option<Vec<u8>> {
        let allowed = |item: &&Bytes| {
            let name = || string_member(item, "name");
            kind != ListKind::Tools || name().is_none_or(|name| self.policy.tools.allows(&name))
        };
        let mut result = format!("{{\"{}\":[", kind.key()).into_bytes();
        for (at, item) in self.catalogue.list(kind)?.iter().filter(allowed).enumerate() {
            if at > 0 {
                result.push(b',');
            }
            result.extend_from_slice(item);
        }
        result.extend_from_slice(b"]}");
        Some(result)
    }

    /// Learns from the whole list of tools which of them may be called twice. Returns whether these are other tools
    /// than before.
    pub(crate) fn learn_repeatable(&mut self, tools: &[Bytes]) -> bool {
        let name = |tool: &Bytes| string_member(tool, "name");
        let found = tools.iter().filter(|tool| may_be(tool, 0..tool.len())).filter_map(name).collect();
        let before = std::mem::replace(&mut self.repeatable, found);
        before != self.repeatable
    }

    pub(crate) fn offers_twice(&self) -> impl Iterator<Item = &String> {
        let trusted = self.policy.trusted;
        self.repeatable.iter().filter(move |tool| trusted && self.policy.tools.allows(tool))
    }

    /// What is wrong with the lists of the server, each as a fragment that reads after "the server".
    pub(crate) fn list_faults(&self, time: Instant) -> Vec<String> {
        let restless = self.announced_changes.restless(time).map(|kind| {
            format!("says without end {}; clients are told so once in ten seconds", kind.changed())
        });
        self.list_health.faults(time).chain(restless).collect()
    }
}
