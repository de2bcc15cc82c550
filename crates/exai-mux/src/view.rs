//! What the router can be asked for the status document.

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
use crate::types::observed_behaviour::Traits;

/// One client.
#[derive(Debug, Clone)]
pub struct ClientView {
    /// Its id.
    pub id: ClientId,
    /// The name it gave.
    pub name: Option<String>,
    /// The version it gave.
    pub build: Option<String>,
    /// The protocol revision it asked for.
    pub version: Option<String>,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests so far.
    pub calls: u64,
}

/// One server with its instances.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// Its name.
    pub name: Arc<str>,
    /// The revision it speaks, once known.
    pub version: Option<String>,
    /// Whether it may be started.
    pub health: HealthView,
    /// What is wrong with its lists, each a fragment that reads after "the server".
    pub lists: Vec<String>,
    /// Its instances, oldest first.
    pub instances: Vec<InstanceView>,
}

/// Whether a server may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthView {
    /// It may.
    Well,
    /// It failed a moment ago, and is held back.
    Resting(Down),
    /// It ended too often, and is not started again.
    Failed(Down),
}

/// One instance.
#[derive(Debug, Clone)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its number among the server's.
    pub number: u32,
    /// Whether it serves.
    pub ready: bool,
    /// Who uses it.
    pub clients: Vec<ClientId>,
    /// It ends what it has begun, and gets nothing new.
    pub retiring: bool,
    /// Requests it has not answered.
    pub in_flight: usize,
    /// Requests that wait for their turn, or for it to be ready.
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

    /// In words, why it may not be started.
    pub fn reason(&self) -> Option<&str> {
        self.why().map(|why| &*why.reason)
    }

    /// What it wrote to stderr before it failed.
    pub fn stderr_tail(&self) -> Option<&str> {
        self.why().map(|why| &*why.stderr_tail).filter(|tail| !tail.is_empty())
    }

    /// Why it may not be started.
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

    /// One of them.
    pub fn client(&self, id: ClientId) -> Option<ClientView> {
        let client = self.clients.get(id)?;
        let initialize_params = client.initialize_params();
        Some(ClientView {
            id,
            name: initialize_params.and_then(|said| said.name.clone()),
            build: initialize_params.and_then(|said| said.build.clone()),
            version: initialize_params.map(|said| said.version.clone()),
            in_flight: client.in_flight,
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

    /// What is known of a server, with the revision of its policy that it was learned under; `None` before it has ever
    /// been ready.
    pub fn discovery(&self, server: &str) -> Option<(u64, Discovery)> {
        let server = self.servers.get(server)?;
        let list = |kind: ListKind| Some((kind.method().to_owned(), server.catalogue.list(kind)?.to_vec()));
        let lists = LIST_KINDS.into_iter().filter_map(list).collect();
        let initialize = server.initialize_result.as_ref()?.result.clone();
        Some((server.policy.revision, Discovery { initialize, lists }))
    }

    /// What was measured about a server, with the revision of its policy that it was seen under.
    pub fn traits(&self, server: &str) -> Option<(u64, Traits)> {
        let server = self.servers.get(server)?;
        Some((server.policy.revision, server.behaviour.traits().clone()))
    }

    /// Whether a request of any client is under way.
    pub fn is_busy(&self) -> bool {
        // What gathers lists is counted there, too; `initialize` that waits is not.
        let asks = |instance: &Instance| match &instance.phase {
            Phase::Starting { waiting, .. } => waiting.has_initialize(),
            Phase::Ready(_) => false,
        };
        self.clients.iter().any(|client| client.in_flight > 0)
            || self.instances.iter().any(|(_, instance)| asks(instance))
    }
}
