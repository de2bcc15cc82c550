//! What can be asked of the router. Nothing here changes the router.

use std::sync::Arc;
use std::time::Instant;

use crate::instance::{Instance, Phase};
use crate::router::Router;
use crate::server::Server;
use crate::server::health::{Health, HealthState};
use crate::server::parameter_headers;
use crate::types::discovery::Discovery;
use crate::types::era::{ERAS, Era};
use crate::types::era_verdict::EraVerdict;
use crate::types::event::Down;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::list_kind::{LIST_KINDS, ListKind, string_member};
use crate::types::names;
use crate::types::observed_behaviour::ObservedBehaviour;
use crate::types::parameter_header::ParameterHeader;

/// A client, for the status document.
#[derive(Debug, Clone)]
pub struct ClientView {
    /// The id of the client.
    pub id: ClientId,
    /// The name of the program, as the client says it.
    pub name: Option<String>,
    /// The version of the program, as the client says it.
    pub build: Option<String>,
    /// The protocol revision that the client speaks; of two, that of its session.
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
    /// How many tools the server offers, without those that the configuration blocks. `None` before its list is known.
    pub tools: Option<usize>,
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
    /// Somebody must sign in at the server.
    SignedOut(Down),
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
    /// Whether the server has introduced itself.
    pub ready: bool,
    /// The protocol revision that is spoken there. `None` before the server has introduced itself.
    pub version: Option<String>,
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
            HealthState::SignedOut { why, .. } => HealthView::SignedOut(why.clone()),
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
            HealthView::Resting(why) | HealthView::SignedOut(why) | HealthView::Failed(why) => Some(why),
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
        let context = client.any_context();
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
                version: instance.ready().map(|said| said.version.clone()),
                retiring: instance.retiring,
                clients: instance.clients.clone(),
                in_flight: instance.in_flight.len(),
                waiting: instance.waiting(),
            });
            ServerView {
                name: server.policy.name.clone(),
                version: server
                    .offerings()
                    .find_map(|(_, one)| Some(one.introduction.as_ref()?.version.clone())),
                health: HealthView::of(&server.health, time),
                lists: server.list_faults(time),
                tools: server.count_tools(),
                instances: instances.collect(),
            }
        };
        self.servers.iter().map(view).collect()
    }

    /// What is known of a server in an era, and the revision of the policy under which it was learned. `None` before the server
    /// was ready in that era for the first time.
    pub fn discovery(&self, server: &str, era: Era) -> Option<(u64, Discovery)> {
        let server = self.servers.get(server)?;
        let offering = server.offering(era);
        let list = |kind: ListKind| Some((kind.method().to_owned(), offering.catalogue.list(kind)?.to_vec()));
        let lists = LIST_KINDS.into_iter().filter_map(list).collect();
        let introduction = offering.introduction.as_ref()?.result.clone();
        Some((server.policy.revision, Discovery { era, introduction, lists }))
    }

    /// What a server was seen to do, and the revision of the policy under which it was seen.
    pub fn observed_behaviour(&self, server: &str) -> Option<(u64, ObservedBehaviour)> {
        let server = self.servers.get(server)?;
        Some((server.policy.revision, server.behaviour.observed().clone()))
    }

    /// Which eras a server was seen to speak, and not to speak.
    pub fn era_verdicts(&self, server: &str) -> Vec<(Era, EraVerdict)> {
        let Some(server) = self.servers.get(server) else { return Vec::new() };
        ERAS.into_iter().filter_map(|era| Some((era, server.eras.verdict(era)?.clone()))).collect()
    }

    /// The headers that go with a call of a tool, by the name that the client has for it. `None` while the tool is not known.
    pub fn parameter_headers(&self, client: ClientId, tool: &str) -> Option<Vec<ParameterHeader>> {
        let client = self.clients.get(client)?;
        let (server, own) = match &client.endpoint {
            Endpoint::One(server) => (&**server, tool),
            Endpoint::All | Endpoint::Several(_) => names::split(tool)?,
        };
        let catalogue = &self.servers.get_seen(client, server)?.offering_for(Era::Modern).catalogue;
        let uncut = if client.endpoint.is_aggregated() && names::may_be_cut(tool) {
            catalogue.find_uncut_name(server, tool)
        } else {
            None
        };
        let own = uncut.as_deref().unwrap_or(own);
        let mut tools = catalogue.list(ListKind::Tools)?.iter();
        let tool = tools.find(|tool| string_member(tool, "name").is_some_and(|name| name == own))?;
        Some(parameter_headers::find_all(tool))
    }

    /// Whether a request of any client is under way.
    pub fn is_busy(&self) -> bool {
        // Neither `initialize` nor `server/discover` is a call.
        let asks = |instance: &Instance| match &instance.phase {
            Phase::Starting { waiting, .. } => waiting.has_introduction(),
            Phase::Ready(_) => false,
        };
        self.calls.has_wanted() || self.instances.iter().any(|(_, instance)| asks(instance))
    }
}
