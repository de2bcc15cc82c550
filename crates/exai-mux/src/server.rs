//! What the router knows of one configured server.

pub(crate) mod announced_changes;
pub(crate) mod behaviour_observer;
pub(crate) mod catalogue;
pub(crate) mod eras;
pub(crate) mod handed_out;
pub(crate) mod health;
pub(crate) mod list_health;
pub(crate) mod offering;
pub(crate) mod parameter_headers;
pub(crate) mod repeatable_tools;
pub(crate) mod resources;
pub(crate) mod uri_template;

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::Id;

use crate::client::Client;
use crate::dialect::modern;
use crate::server::behaviour_observer::BehaviourObserver;
use crate::server::eras::Eras;
use crate::server::health::Health;
use crate::server::list_health::ListHealth;
use crate::server::offering::Offering;
use crate::types::era::{ERAS, Era, PerEra};
use crate::types::ids::ClientId;
use crate::types::list_kind::{ListKind, string_member};
use crate::types::policy::Policy;

/// A configured server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) policy: Policy,
    pub(crate) offerings: PerEra<Offering>,
    /// Which eras the server speaks.
    pub(crate) eras: Eras,
    pub(crate) health: Health,
    /// When somebody has signed in there.
    pub(crate) signed_in_at: Option<Instant>,
    pub(crate) list_health: ListHealth,
    pub(crate) next_number: u32,
    /// What the server was seen to do with the capabilities of its clients.
    pub(crate) behaviour: BehaviourObserver,
    /// Clients that had subscribed to resources of an instance that ended. The server is started for them again, and
    /// they are told that they may have missed something.
    pub(crate) interrupted: BTreeSet<ClientId>,
}

/// Whether the server runs without clients.
pub(crate) fn is_eager(policy: &Policy) -> bool {
    policy.eager && !policy.share.is_separate_in_sessions()
}

impl Server {
    pub(crate) fn new(policy: Policy) -> Self {
        Server {
            eras: Eras::new(policy.era),
            policy,
            offerings: PerEra::default(),
            health: Health::default(),
            signed_in_at: None,
            list_health: ListHealth::default(),
            next_number: 1,
            behaviour: BehaviourObserver::default(),
            interrupted: BTreeSet::new(),
        }
    }

    /// What the server offers in one era.
    pub(crate) fn offering(&self, era: Era) -> &Offering {
        self.offerings.get(era)
    }

    pub(crate) fn offering_mut(&mut self, era: Era) -> &mut Offering {
        self.offerings.get_mut(era)
    }

    /// What the server offers in each era.
    pub(crate) fn offerings(&self) -> impl Iterator<Item = (Era, &Offering)> {
        self.offerings.iter()
    }

    pub(crate) fn offerings_mut(&mut self) -> impl Iterator<Item = (Era, &mut Offering)> {
        self.offerings.iter_mut()
    }

    /// The era in which the server serves clients of an era.
    pub(crate) fn serving_era(&self, client: Era) -> Era {
        self.eras.serving(client)
    }

    /// Whether the server refuses clients of the modern era: it does not speak it, and nothing is translated for it.
    pub(crate) fn refuses_modern(&self) -> bool {
        self.eras.speaks(Era::Modern) == Some(false) && !self.policy.bridge
    }

    /// What the server offers to clients of an era.
    pub(crate) fn offering_for(&self, client: Era) -> &Offering {
        self.offering(self.serving_era(client))
    }

    /// The resources that a client wants to hear of from instances of an era, each with the era in which the client speaks.
    pub(crate) fn wanted_uris<'a>(
        &'a self,
        client: &'a Client,
        instance: Era,
    ) -> impl Iterator<Item = (Era, &'a str)> {
        let told = ERAS.into_iter().filter(move |of| self.serving_era(*of) == instance);
        told.flat_map(|of| {
            client.subscribed_uris(&self.policy.name, of).into_iter().map(move |uri| (of, uri))
        })
    }

    /// The answer to a client's `server/discover`, from what the server has said of itself. `None` while it is not known
    /// in which era clients of the modern era are served.
    pub(crate) fn write_known_discover_result(&self, id: &Id) -> Option<Bytes> {
        self.eras.speaks(Era::Modern)?;
        let said = self.offering_for(Era::Modern).introduction.as_ref()?;
        match said.era {
            Era::Modern => Some(modern::write_discover_result(id, said)),
            Era::Legacy if self.policy.bridge => Some(modern::write_bridged_discover_result(id, said)),
            Era::Legacy => None,
        }
    }

    /// Whether a client may see and call this tool.
    pub(crate) fn offers_tool(&self, client: &Client, tool: &str) -> bool {
        self.policy.tools.allows(tool) && client.sees_tool(&self.policy.name, tool)
    }

    /// A known list as the result of its method, without the tools that the client may not see.
    pub(crate) fn write_known_list(&self, kind: ListKind, client: &Client, era: Era) -> Option<Vec<u8>> {
        let allowed = |item: &&Bytes| {
            let name = || string_member(item, "name");
            kind != ListKind::Tools || name().is_none_or(|name| self.offers_tool(client, &name))
        };
        let mut result = format!("{{\"{}\":[", kind.key()).into_bytes();
        for (at, item) in self.offering_for(era).catalogue.list(kind)?.iter().filter(allowed).enumerate() {
            if at > 0 {
                result.push(b',');
            }
            result.extend_from_slice(item);
        }
        result.extend_from_slice(b"]}");
        Some(result)
    }

    /// Whether the configuration lets this item of the list of tools pass.
    fn allows_tool(&self, tool: &Bytes) -> bool {
        self.policy.tools.is_open()
            || string_member(tool, "name").is_none_or(|name| self.policy.tools.allows(&name))
    }

    /// How many tools the server offers, without those that the configuration blocks. `None` before its list is known.
    pub(crate) fn count_tools(&self) -> Option<usize> {
        let known = self.offerings().find_map(|(_, offering)| offering.catalogue.list(ListKind::Tools));
        Some(known?.iter().filter(|tool| self.allows_tool(tool)).count())
    }

    /// The tools that the client may call twice.
    pub(crate) fn offers_twice<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = &'a String> {
        let trusted = self.policy.trusted;
        let all = self.offerings().flat_map(|(_, offering)| &offering.repeatable);
        all.filter(move |tool| trusted && self.offers_tool(client, tool))
    }

    /// What is wrong with the lists of the server, each as a fragment that reads after "the server".
    pub(crate) fn list_faults(&self, time: Instant) -> Vec<String> {
        let restless = self.offerings().flat_map(|(_, offering)| offering.announced_changes.restless(time));
        let restless = restless.map(|kind| {
            format!("says without end {}; clients are told so once in ten seconds", kind.changed())
        });
        self.list_health.faults(time).chain(restless).collect()
    }
}
