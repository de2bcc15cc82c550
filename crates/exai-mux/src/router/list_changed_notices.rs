//! When clients of all servers together are told that a list has changed: at once, and not too often.
//!
//! Each such word makes a client list everything anew, and servers repeat it: some send it for each of the tools that
//! they register, some whenever they are asked. So what a server says passes at once, and what it says soon after that
//! waits: 0.25 s, doubled as long as it goes on saying it, up to ten seconds. What a client hears, of all servers
//! together, is a quarter of a second apart. Nothing is lost: what waits is said when its time has come. Clients of one
//! server hear its own words as they come.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::throttle::Throttle;

/// What clients were told a moment ago, or are to be told.
#[derive(Debug, Default)]
pub(crate) struct ListChangedNotices(BTreeMap<(ClientId, ListKind), Throttle>);

impl ListChangedNotices {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(Throttle::due).min()
    }

    /// A list has changed for a client. Returns whether the client is to be told now.
    pub(crate) fn happened(&mut self, client: ClientId, kind: ListKind, time: Instant) -> bool {
        self.0.entry((client, kind)).or_insert_with(Throttle::of_client).happened(time)
    }

    /// The clients that are to be told now what has waited for its time.
    pub(crate) fn take_due(&mut self, time: Instant) -> Vec<(ClientId, ListKind)> {
        let due =
            self.0.iter_mut().filter_map(|(&key, throttle)| throttle.take_due(time).then_some(key)).collect();
        self.0.retain(|_, throttle| !throttle.is_quiet(time));
        due
    }

    pub(crate) fn forget(&mut self, client: ClientId) {
        self.0.retain(|(of, _), _| *of != client);
    }
}
