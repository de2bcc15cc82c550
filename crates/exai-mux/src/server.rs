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
    /// What it answered to `initialize` the last time.
    pub(crate) initialize_result: Option<InitializeResult>,
    /// What it was seen to do.
    pub(crate) behaviour: BehaviourObserver,
    /// Clients that had subscribed to resources of a run that ended: it is started for them again, and they are told
    /// that they may have missed something.
    pub(crate) interrupted: BTreeSet<ClientId>,
    /// Its tools that may be called twice, by its own word.
    pub(crate) repeatable: BTreeSet<String>,
}

/// Whether it runs for nobody in particular.
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

    /// It has said who it is.
    pub(crate) fn introduced(&mut self, ready: InitializeResult) {
        let place = json::find(&ready.result, 0..ready.result.len(), "instructions");
        let text = place.and_then(|place| json::string(&ready.result, place));
        self.catalogue.instructions = text.map(|text| limits::cut(&text, limits::INSTRUCTIONS_CHARS));
        self.initialize_result = Some(ready);
    }

    /// A list as the result of its method, without what the configuration blocks.
    pub(crate) fn known_list(&self, kind: ListKind) -> Option<Vec<u8>> {
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

    /// The whole list of tools is known. Returns whether others may be repeated than before.
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

    /// What is wrong with its lists, each as a fragment that reads after "the server".
    pub(crate) fn list_faults(&self, time: Instant) -> Vec<String> {
        let restless = self.announced_changes.restless(time).map(|kind| {
            format!("says without end {}; clients are told so once in ten seconds", kind.changed())
        });
        self.list_health.faults(time).chain(restless).collect()
    }
}
