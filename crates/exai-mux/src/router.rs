//! The state of the router.

pub(crate) mod declared_extensions;
pub(crate) mod list_aggregations;
pub(crate) mod news;
pub(crate) mod now;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use exai_proto::Id;
use exai_proto::answer::{Failure, FailureData, Source};

use crate::client::Client;
use crate::instance::Instance;
use crate::router::list_aggregations::Gathering;
use crate::router::news::News;
use crate::router::now::Now;
use crate::server::Server;
use crate::types::effect::About;
use crate::types::event::Down;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::policy::ShareKey;

/// The routing core. See the crate's documentation.
#[derive(Debug)]
pub struct Router {
    /// The number of the next question to a client. One counter for all clients and for the router's whole life: a
    /// client that has linked anew may still answer what it was asked over an earlier link, and that answer must not
    /// be taken for one to a later question.
    next_ask: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: HashMap<ClientId, Client>,
    pub(crate) instances: HashMap<InstanceId, Instance>,
    pub(crate) shared: HashMap<(Arc<str>, ShareKey), InstanceId>,
    pub(crate) gatherings: Vec<Gathering>,
    pub(crate) news: News,
    pub(crate) next_instance: u64,
}

impl Router {
    /// A router without servers or clients. `epoch` is another for each daemon: a client that goes on with the next
    /// daemon may still answer what the last daemon asked, and that must not be taken for an answer to anything else.
    pub fn new(epoch: u32) -> Self {
        Router {
            // Below 2^53, so that a client that keeps numbers as doubles returns the same one.
            next_ask: (u64::from(epoch) << 20) | 1,
            servers: Vec::new(),
            clients: HashMap::new(),
            instances: HashMap::new(),
            shared: HashMap::new(),
            gatherings: Vec::new(),
            news: News::default(),
            next_instance: 0,
        }
    }

    pub(crate) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| &*server.policy.name == name)
    }

    pub(crate) fn server_mut(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| &*server.policy.name == name)
    }

    /// Everybody, oldest first.
    pub(crate) fn all_clients(&self) -> Vec<ClientId> {
        let mut all: Vec<ClientId> = self.clients.keys().copied().collect();
        all.sort();
        all
    }

    /// Clients of the aggregated endpoint that have introduced themselves.
    pub(crate) fn aggregating(&self) -> Vec<ClientId> {
        let mut found: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| client.endpoint == Endpoint::All && client.introduction().is_some())
            .map(|(&id, _)| id)
            .collect();
        found.sort();
        found
    }

    /// The number of a question that no other question of this router has or will have.
    pub(crate) fn mint_ask(&mut self) -> u64 {
        let number = self.next_ask;
        self.next_ask += 1;
        number
    }

    /// The clients whose notifications an instance feeds: those attached to it.
    pub(crate) fn tell_attached(&self, instance: InstanceId, bytes: &Bytes, now: &mut Now<'_>) {
        if let Some(instance) = self.instances.get(&instance) {
            for &client in &instance.clients {
                now.to_client(client, bytes.clone(), About::Session);
            }
        }
    }

    /// -31006 for a server that is not configured.
    pub(crate) fn unknown_server(&self, client: ClientId, id: &Id, name: &str, now: &mut Now<'_>) {
        let known: Vec<&str> = self.servers.iter().map(|server| &*server.policy.name).collect();
        let message = format!("no server is called \"{name}\"; configured are: {}", known.join(", "));
        let data = FailureData {
            server: Some(name),
            hint: Some("exai add NAME -- COMMAND"),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        now.fail(client, id, &message, &data);
    }

    pub(crate) fn unavailable(client: ClientId, id: &Id, server: &str, why: &Down, now: &mut Now<'_>) {
        let hint = why.command(server);
        let data = FailureData {
            server: Some(server),
            hint: hint.as_deref(),
            stderr_tail: Some(&*why.stderr_tail).filter(|tail| !tail.is_empty()),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        now.fail(client, id, &format!("server \"{server}\" is not available: it {}", why.reason), &data);
    }

    pub(crate) fn overloaded(client: ClientId, id: &Id, server: Option<&str>, what: &str, now: &mut Now<'_>) {
        let data = FailureData { server, ..FailureData::new(Source::Daemon, Failure::Overloaded) };
        now.fail(client, id, &format!("overloaded: {what}; nothing was sent"), &data);
    }

    pub(crate) fn count_in_flight(&mut self, client: ClientId, change: i32) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.in_flight = client.in_flight.saturating_add_signed(change);
        }
    }

    /// A server's part in a client's request is over. A cancelled one was uncounted when it was cancelled.
    pub(crate) fn request_ended(&mut self, client: ClientId, cancelled: bool) {
        if !cancelled {
            self.count_in_flight(client, -1);
        }
    }

    pub(crate) fn filters_tools(&self, instance: InstanceId) -> bool {
        self.instances
            .get(&instance)
            .and_then(|instance| self.server(&instance.server))
            .is_some_and(|server| !server.policy.tools.is_open())
    }

    pub(crate) fn aggregates(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.endpoint == Endpoint::All)
    }

    /// The instances at which a client may have requests under way.
    pub(crate) fn instances_with_requests(&self, client: ClientId) -> Vec<InstanceId> {
        let attached = self.clients.get(&client).map(|client| &client.attached[..]).unwrap_or_default();
        let mut all: Vec<InstanceId> = attached.iter().map(|(_, instance)| *instance).collect();
        let retiring = self.instances.iter().filter(|(_, instance)| instance.retiring);
        all.extend(retiring.filter(|(_, instance)| instance.clients.contains(&client)).map(|(&id, _)| id));
        all.sort();
        all
    }
}
