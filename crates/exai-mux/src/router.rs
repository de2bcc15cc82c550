//! The whole state of the router, in parts that change themselves alone.

pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod declared_extensions;
pub(crate) mod errors;
pub(crate) mod event_context;
pub(crate) mod instances;
pub(crate) mod list_aggregations;
pub(crate) mod list_changed_notices;
pub(crate) mod on_success;
pub(crate) mod questions;
pub(crate) mod servers;

use bytes::Bytes;

use crate::router::calls::Calls;
use crate::router::clients::Clients;
use crate::router::event_context::EventContext;
use crate::router::instances::Instances;
use crate::router::list_aggregations::ListAggregations;
use crate::router::list_changed_notices::ListChangedNotices;
use crate::router::questions::Questions;
use crate::router::servers::Servers;
use crate::types::effect::About;
use crate::types::ids::{ClientId, InstanceId};

/// The routing core. See the documentation of the crate.
///
/// Each part changes itself alone. The handlers change several parts for one event.
#[derive(Debug)]
pub struct Router {
    pub(crate) clients: Clients,
    pub(crate) calls: Calls,
    pub(crate) servers: Servers,
    pub(crate) instances: Instances,
    pub(crate) questions: Questions,
    pub(crate) list_aggregations: ListAggregations,
    pub(crate) list_changed_notices: ListChangedNotices,
}

impl Router {
    /// A router without servers or clients. `epoch` must differ for each daemon: a client that goes on with the next
    /// daemon may still answer a question of the last daemon, and that answer must not be taken for one to another
    /// question.
    pub fn new(epoch: u32) -> Self {
        Router {
            clients: Clients::default(),
            calls: Calls::default(),
            servers: Servers::default(),
            instances: Instances::default(),
            questions: Questions::new(epoch),
            list_aggregations: ListAggregations::default(),
            list_changed_notices: ListChangedNotices::default(),
        }
    }

    /// Sends a message to all clients of an instance.
    pub(crate) fn send_to_attached(&self, instance: InstanceId, bytes: &Bytes, cx: &mut EventContext<'_>) {
        if let Some(instance) = self.instances.get(instance) {
            for &client in &instance.clients {
                cx.send_to_client(client, bytes.clone(), About::Session);
            }
        }
    }

    pub(crate) fn filters_tools(&self, instance: InstanceId) -> bool {
        self.instances
            .get(instance)
            .and_then(|instance| self.servers.get(&instance.server))
            .is_some_and(|server| !server.policy.tools.is_open())
    }

    /// The instances at which a client may have requests under way.
    pub(crate) fn instances_with_requests(&self, client: ClientId) -> Vec<InstanceId> {
        let attached = self.clients.get(client).map(|client| &client.attached[..]).unwrap_or_default();
        let mut all: Vec<InstanceId> = attached.iter().map(|(_, instance)| *instance).collect();
        all.extend(self.instances.retiring_of_client(client));
        all.sort();
        all
    }
}
