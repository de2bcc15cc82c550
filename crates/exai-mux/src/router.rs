//! The whole state of the router, in parts that change themselves alone.

pub(crate) mod awaited_inputs;
pub(crate) mod awaited_sign_ins;
pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod declared_extensions;
pub(crate) mod errors;
pub(crate) mod event_context;
pub(crate) mod instances;
pub(crate) mod list_aggregations;
pub(crate) mod list_changed_notices;
pub(crate) mod on_success;
pub(crate) mod parked_calls;
pub(crate) mod questions;
pub(crate) mod servers;

use crate::client::Client;
use crate::router::awaited_inputs::AwaitedInputs;
use crate::router::awaited_sign_ins::AwaitedSignIns;
use crate::router::calls::Calls;
use crate::router::clients::Clients;
use crate::router::instances::Instances;
use crate::router::list_aggregations::ListAggregations;
use crate::router::list_changed_notices::ListChangedNotices;
use crate::router::parked_calls::ParkedCalls;
use crate::router::questions::Questions;
use crate::router::servers::Servers;
use crate::server::offering::Offering;
use crate::types::account::Accounts;
use crate::types::choice::Choices;
use crate::types::ids::{ClientId, InstanceId};

/// The routing core. See the documentation of the crate.
///
/// Each part changes itself alone. The handlers change several parts for one event.
#[derive(Debug)]
pub struct Router {
    pub(crate) accounts: Accounts,
    pub(crate) choices: Choices,
    pub(crate) clients: Clients,
    pub(crate) calls: Calls,
    pub(crate) servers: Servers,
    pub(crate) instances: Instances,
    pub(crate) questions: Questions,
    pub(crate) awaited_inputs: AwaitedInputs,
    pub(crate) awaited_sign_ins: AwaitedSignIns,
    pub(crate) parked_calls: ParkedCalls,
    pub(crate) list_aggregations: ListAggregations,
    pub(crate) list_changed_notices: ListChangedNotices,
}

impl Router {
    /// A router without servers or clients. `epoch` must differ for each daemon: a client that goes on with the next
    /// daemon may still answer a question of the last daemon, and that answer must not be taken for one to another
    /// question.
    pub fn new(epoch: u32) -> Self {
        Router {
            accounts: Accounts::default(),
            choices: Choices::default(),
            clients: Clients::default(),
            calls: Calls::default(),
            servers: Servers::default(),
            instances: Instances::default(),
            questions: Questions::new(epoch),
            awaited_inputs: AwaitedInputs::default(),
            awaited_sign_ins: AwaitedSignIns::default(),
            parked_calls: ParkedCalls::default(),
            list_aggregations: ListAggregations::default(),
            list_changed_notices: ListChangedNotices::default(),
        }
    }

    /// What the server of an instance offers in the era of the instance.
    pub(crate) fn offering_of(&self, instance: InstanceId) -> Option<&Offering> {
        let instance = self.instances.get(instance)?;
        Some(self.servers.get(&instance.server)?.offering(instance.era()))
    }

    pub(crate) fn offering_of_mut(&mut self, instance: InstanceId) -> Option<&mut Offering> {
        let instance = self.instances.get(instance)?;
        Some(self.servers.get_mut(&instance.server)?.offering_mut(instance.era()))
    }

    /// Whether the client may not use every tool of the server.
    pub(crate) fn filters_tools(&self, client: ClientId, instance: InstanceId) -> bool {
        let server = self.instances.get(instance).and_then(|instance| self.servers.get(&instance.server));
        server.is_some_and(|server| !server.policy.tools.is_open())
            || self.clients.get(client).is_some_and(Client::filters_tools)
    }

    /// The instances at which a client may have requests under way: those that it uses, and those that it uses no
    /// more, where its last requests are being worked on.
    pub(crate) fn instances_with_requests(&self, client: ClientId) -> Vec<InstanceId> {
        let attached = self.clients.get(client).map(|client| &client.attached[..]).unwrap_or_default();
        let mut all: Vec<InstanceId> = attached.iter().map(|one| one.instance).collect();
        all.extend(self.instances.retiring_of_client(client));
        all.extend(self.calls.instances_of(client));
        all.sort();
        all.dedup();
        all
    }
}
