//! How much the router holds, for the status document and for tests that want to see that it forgets.

use crate::client;
use crate::handed;
use crate::instance::{self, Instance};
use crate::lanes;
use crate::resources;
use crate::router::Router;

/// What is there now. While nobody wants anything there are clients, instances, and lists owed to those clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Conversations.
    pub clients: usize,
    /// Runs of servers.
    pub instances: usize,
    /// Instances that new requests may go to: all but those that are being replaced.
    pub shared: usize,
    /// Requests that servers have not answered.
    pub in_flight: usize,
    /// Requests that wait for a server to start, or for their turn.
    pub waiting: usize,
    /// Clients' requests that wait for lists.
    pub gatherings: usize,
    /// Lists that clients were answered without.
    pub owed: usize,
    /// Resources that clients want to hear of.
    pub subscriptions: usize,
    /// Servers' questions that clients have not answered.
    pub asked: usize,
}

impl Router {
    /// Counts what is there.
    pub fn counts(&self) -> Counts {
        Counts {
            clients: self.clients.len(),
            instances: self.instances.len(),
            shared: self.shared.len(),
            in_flight: self.instances.values().map(|instance| instance.in_flight.len()).sum(),
            waiting: self.instances.values().map(Instance::waiting).sum(),
            gatherings: self.gatherings.len(),
            owed: self.servers.iter().map(|server| server.catalogue.owed.len()).sum(),
            subscriptions: self.clients.values().map(|client| client.subscriptions.len()).sum(),
            asked: self.clients.values().map(|client| client.asked.len()).sum(),
        }
    }
}

/// What the router bounds, by the names of the status document.
pub fn limits() -> [(&'static str, u64); 16] {
    [
        ("requests_per_client", u64::from(client::MOST_IN_FLIGHT)),
        ("subscriptions_per_client", exai_proto::limits::SUBSCRIPTIONS as u64),
        ("requests_per_instance", u64::from(lanes::WINDOW)),
        ("share_per_client", u64::from(lanes::SHARE)),
        ("turn_s", lanes::PATIENCE.as_secs()),
        ("turn_bytes", lanes::MOST_BYTES as u64),
        ("starting_messages", instance::MOST_WAITING as u64),
        ("starting_bytes", instance::MOST_WAITING_BYTES as u64),
        ("instances_per_server", instance::MOST_INSTANCES as u64),
        ("handed_out_per_server", handed::MOST as u64),
        ("handed_out_bytes", handed::MOST_BYTES as u64),
        ("templates_per_server", resources::MOST_TEMPLATES as u64),
        ("list_items", exai_proto::limits::LIST_ITEMS as u64),
        ("list_bytes", exai_proto::limits::LIST_BYTES as u64),
        ("list_pages", exai_proto::limits::LIST_PAGES as u64),
        ("call_s", crate::policy::CALL_LIMIT.as_secs()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{ClientId, Endpoint, Event};

    #[test]
    fn what_comes_and_goes_is_counted_and_no_more() {
        let mut router = Router::new(0);
        let mut effects = Vec::new();
        let client = ClientId(1);
        router.handle(Event::Opened { client, endpoint: Endpoint::All }, Instant::now(), &mut effects);
        assert_eq!(router.counts(), Counts { clients: 1, ..Counts::default() });
        router.handle(Event::Closed { client }, Instant::now(), &mut effects);
        assert_eq!(router.counts(), Counts::default());
    }
}
