//! Limits how often clients of the aggregated endpoint hear that a list has changed.
//!
//! Each such notification makes a client list everything anew, and servers repeat theirs: some send one for each tool
//! that they register, some whenever they are asked. So the first announcement of a server passes at once. What
//! follows soon waits: 0.25 s, doubled up to ten seconds as long as the server goes on announcing. One client hears
//! of a list, of all servers together, once in a quarter of a second. Nothing is lost: what waits is sent when its
//! time has come.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::throttle::Throttle;

/// The notifications that clients have got a moment ago, or are about to get.
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

    /// Takes the notifications whose time has come.
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
