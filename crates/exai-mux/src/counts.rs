//! How much the router holds: for the status document, and for tests that check that the router forgets.

use crate::limits::{
    CALL_TOTAL_TIMEOUT, MAX_HANDED_OUT_BYTES, MAX_HANDED_OUT_URIS, MAX_INSTANCES_PER_SERVER,
    MAX_QUEUED_BYTES, MAX_REQUESTS_PER_CLIENT, MAX_REQUESTS_PER_INSTANCE, MAX_STARTING_BYTES,
    MAX_STARTING_MESSAGES, MAX_TEMPLATES_PER_SERVER, MIN_SHARE_PER_CLIENT, TURN_TIMEOUT,
};
use crate::router::Router;
use crate::server::Server;

/// What the router holds now. While no client wants anything, these are clients, instances, and lists that clients
/// still have to hear of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Conversations with clients.
    pub clients: usize,
    /// Runs of servers.
    pub instances: usize,
    /// Instances that new requests may go to: all but those that are being replaced.
    pub shared: usize,
    /// Requests that servers have not answered.
    pub in_flight: usize,
    /// Requests that wait for a server to start, or for their turn.
    pub waiting: usize,
    /// Clients' requests that have not been answered. Those that the client has cancelled count while their server
    /// works on them.
    pub calls: usize,
    /// Clients' requests that wait for lists.
    pub gatherings: usize,
    /// Lists that clients were answered without. The clients hear of such a list when it comes.
    pub owed: usize,
    /// Resources that clients have subscribed to.
    pub subscriptions: usize,
    /// Servers' questions that clients have not answered.
    pub asked: usize,
    /// Calls that wait until their clients of the modern era have the input that a legacy server needs.
    pub parked: usize,
}

impl Router {
    /// Counts what the router holds.
    pub fn counts(&self) -> Counts {
        Counts {
            clients: self.clients.len(),
            instances: self.instances.len(),
            shared: self.instances.shared_len(),
            in_flight: self.instances.iter().map(|(_, instance)| instance.in_flight.len()).sum(),
            waiting: self.instances.iter().map(|(_, instance)| instance.waiting()).sum(),
            calls: self.calls.len(),
            gatherings: self.list_aggregations.len(),
            owed: self
                .servers
                .iter()
                .flat_map(Server::offerings)
                .map(|(_, offering)| offering.catalogue.pending_len())
                .sum(),
            subscriptions: self.clients.iter().map(|client| client.subscriptions.len()).sum(),
            asked: self.questions.len(),
            parked: self.parked_calls.len(),
        }
    }
}

/// The bounds of the router, under their names in the status document.
pub fn limits() -> [(&'static str, u64); 16] {
    [
        ("requests_per_client", u64::from(MAX_REQUESTS_PER_CLIENT)),
        ("subscriptions_per_client", exai_proto::limits::SUBSCRIPTIONS as u64),
        ("requests_per_instance", u64::from(MAX_REQUESTS_PER_INSTANCE)),
        ("share_per_client", u64::from(MIN_SHARE_PER_CLIENT)),
        ("turn_s", TURN_TIMEOUT.as_secs()),
        ("turn_bytes", MAX_QUEUED_BYTES as u64),
        ("starting_messages", MAX_STARTING_MESSAGES as u64),
        ("starting_bytes", MAX_STARTING_BYTES as u64),
        ("instances_per_server", MAX_INSTANCES_PER_SERVER as u64),
        ("handed_out_per_server", MAX_HANDED_OUT_URIS as u64),
        ("handed_out_bytes", MAX_HANDED_OUT_BYTES as u64),
        ("templates_per_server", MAX_TEMPLATES_PER_SERVER as u64),
        ("list_items", exai_proto::limits::LIST_ITEMS as u64),
        ("list_bytes", exai_proto::limits::LIST_BYTES as u64),
        ("list_pages", exai_proto::limits::LIST_PAGES as u64),
        ("call_s", CALL_TOTAL_TIMEOUT.as_secs()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{ClientId, ClientName, Endpoint, Event};

    #[test]
    fn what_comes_and_goes_is_counted_and_no_more() {
        let mut router = Router::new(0);
        let mut effects = Vec::new();
        let client = ClientId(1);
        let opened = Event::Opened {
            client,
            endpoint: Endpoint::All,
            name: ClientName::Nameless,
            directory: None,
            stateless: false,
        };
        router.handle(opened, Instant::now(), &mut effects);
        assert_eq!(router.counts(), Counts { clients: 1, ..Counts::default() });
        router.handle(Event::Closed { client }, Instant::now(), &mut effects);
        assert_eq!(router.counts(), Counts::default());
    }
}
