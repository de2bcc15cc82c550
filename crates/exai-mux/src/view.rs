//! What can be asked of the router. Nothing here changes the router.

use std::sync::Arc;
use std::time::Instant;

use crate::instance::{Instance, Phase};
use crate::router::Router;
use crate::server::Server;
use crate::server::health::{Health, HealthState};
use crate::types::discovery::Discovery;
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::list_kind::{LIST_KINDS, ListKind};
use crate::types::observed_behaviour::ObservedBehaviour;

/// A client, for the status document.
#[derive(Debug, Clone)]
pub struct ClientView {
    /// The id of the client.
    pub id: ClientId,
    /// The name of the program, from `initialize`.
    pub name: Option<String>,
    /// The version of the program, from `initialize`.
    pub build: Option<String>,
    /// The protocol revision that the client asked for.
    pub version: Option<String>,
    /// How many requests of the client are under way.
    pub in_flight: u32,
    /// How many requests the client has sent.
    pub calls: u64,
}

/// A server with its instances, for the status document.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// The name of the server.
    pub name: Arc<str>,
    /// The protocol revision that the server chose; `None` before the server was ready for the first time.
    pub version: Option<String>,
    /// Whether the server may be started.
    pub health: HealthView,
    /// What is wrong with the lists of the server, each as a fragment that reads after "the server".
    pub lists: Vec<String>,
    /// The instances of the server, oldest first.
    pub instances: Vec<InstanceView>,
}

/// Whether a server may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthView {
    /// The server may be started.
    Well,
    /// The server failed, and is held back for a while.
    Resting(Down),
    /// The server ended too often, and is not started again.
    Failed(Down),
}

/// An instance, for the status document.
#[derive(Debug, Clone)]
pub struct InstanceView {
    /// The id of the instance.
    pub id: InstanceId,
    /// The number of the instance among those of the server.
    pub number: u32,
    /// Whether the server has answered `initialize`.
    pub ready: bool,
    /// The clients that use the instance.
    pub clients: Vec<ClientId>,
    /// Whether the instance gets no new requests, and ends with those it has.
    pub retiring: bool,
    /// How many requests the server has not answered.
    pub in_flight: usize,
    /// How many requests wait for their turn, or for the start of the instance.
    pub waiting: usize,
}

impl HealthView {
    pub(crate) fn of(health: &Health, time: Instant) -> Self {
        match health.state() {
            HealthState::Resting { why, until } if *until > time => HealthView::Resting(why.clone()),
            HealthState::Failed { why } => HealthView::Failed(why.clone()),
            HealthState::Resting { .. } | HealthState::Well => HealthView::Well,
        }
    }

    /// Why the server may not be started, in words.
    pub fn reason(&self) -> Option<&str> {
        self.why().map(|why| &*why.reason)
    }

    /// What the server wrote to stderr before it failed.
    pub fn stderr_tail(&self) -> Option<&str> {
        self.why().map(|why| &*why.stderr_tail).filter(|tail| !tail.is_empty())
    }

    /// Why the server may not be started.
    pub fn why(&self) -> Option<&Down> {
        match self {
            HealthView::Well => None,
            HealthView::Resting(why) | HealthView::Failed(why) => Some(why),
        }
    }
}

impl Router {
    /// All clients, oldest first.
    pub fn clients(&self) -> Vec<ClientView> {
        self.clients.ids().into_iter().filter_map(|id| self.client(id)).collect()
    }

    /// One client.
    pub fn client(&self, id: ClientId) -> Option<ClientView> {
        let client = self.clients.get(id)?;
        let context = client.context();
        Some(ClientView {
            id,
            name: context.and_then(|said| said.name.clone()),
            build: context.and_then(|said| said.build.clone()),
            version: context.map(|said| said.version.clone()),
            in_flight: self.calls.count_wanted(id),
            calls: client.calls,
        })
    }

    /// All servers, in the order of the configuration.
    pub fn servers(&self, time: Instant) -> Vec<ServerView> {
        let view = |server: &Server| {
            let instances = self.instances.of_server(&server.policy.name);
            let instances = instances.into_iter().map(|(id, instance)| InstanceView {
                id,
                number: instance.number,
                ready: instance.ready().is_some(),
                retiring: instance.retiring,
                clients: instance.clients.clone(),
                in_flight: instance.in_flight.len(),
                waiting: instance.waiting(),
            });
            ServerView {
                name: server.policy.name.clone(),
                version: server.initialize_result.as_ref().map(|said| said.version.clone()),
                health: HealthView::of(&server.health, time),
                lists: server.list_faults(time),
                instances: instances.collect(),
            }
        };
        self.servers.iter().map(view).collect()
    }

    /// What is known of a server, and the revision of the policy under which it was learned. `None` before the server
    /// was ready for the first time.
    pub fn discovery(&self, server: &str) -> Option<(u64, Discovery)> {
        let server = self.servers.get(server)?;
        let list = |kind: ListKind| Some((kind.method().to_owned(), server.catalogue.list(kind)?.to_vec()));
        let lists = LIST_KINDS.into_iter().filter_map(list).collect();
        let initialize = server.initialize_result.as_ref()?.result.clone();
        Some((server.policy.revision, Discovery { initialize, lists }))
    }

    /// What a server was seen to do, and the revision of the policy under which it was seen.
    pub fn observed_behaviour(&self, server: &str) -> Option<(u64, ObservedBehaviour)> {
        let server = self.servers.get(server)?;
        Some((server.policy.revision, server.behaviour.observed().clone()))
    }

    /// Whether a request of any client is under way.
    pub fn is_busy(&self) -> bool {
        // An `initialize` that waits is no call.
        let asks = |instance: &Instance| match &instance.phase {
            Phase::Starting { waiting, .. } => waiting.has_initialize(),
            Phase::Ready(_) => false,
        };
        self.calls.has_wanted() || self.instances.iter().any(|(_, instance)| asks(instance))
    }
}
