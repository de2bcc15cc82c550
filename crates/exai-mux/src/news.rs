//! When clients of all servers together are told that a list has changed: at once, and not too often.
//!
//! Each such word makes a client list everything anew, and servers repeat it: some send it for each of the tools that
//! they register, some whenever they are asked. So what a server says passes at once, and what it says soon after that
//! waits: 0.25 s, doubled as long as it goes on saying it, up to ten seconds. What a client hears, of all servers
//! together, is a quarter of a second apart. Nothing is lost: what waits is said when its time has come. Clients of one
//! server hear its own words as they come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::answer;

use crate::catalogue::Kind;
use crate::event::{About, ClientId, Endpoint, InstanceId};
use crate::limits::{MAX_LIST_CHANGED_INTERVAL, MIN_LIST_CHANGED_INTERVAL};
use crate::router::{Now, Router};

/// Passes on that something has happened, and then what happens soon after that together.
#[derive(Debug)]
pub(crate) struct Pace {
    longest: Duration,
    pause: Duration,
    /// Until when nothing is passed on.
    until: Option<Instant>,
    /// Something has happened that was not passed on.
    waits: bool,
}

impl Pace {
    /// With pauses that grow up to the longest.
    fn of_server() -> Self {
        Pace {
            longest: MAX_LIST_CHANGED_INTERVAL,
            pause: MIN_LIST_CHANGED_INTERVAL,
            until: None,
            waits: false,
        }
    }

    /// With pauses that stay the same.
    fn of_client() -> Self {
        Pace { longest: MIN_LIST_CHANGED_INTERVAL, ..Pace::of_server() }
    }

    /// Something has happened. Returns whether it is to be passed on now.
    fn happened(&mut self, time: Instant) -> bool {
        if self.until.is_some_and(|until| time < until) {
            self.waits = true;
            return false;
        }
        self.pass(time);
        true
    }

    /// When what waits is to be passed on.
    fn due(&self) -> Option<Instant> {
        self.until.filter(|_| self.waits)
    }

    /// Whether what waits is to be passed on now.
    fn take_due(&mut self, time: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= time);
        if is_due {
            self.pass(time);
        }
        is_due
    }

    fn pass(&mut self, time: Instant) {
        self.pause =
            if self.is_quiet(time) { MIN_LIST_CHANGED_INTERVAL } else { self.longest.min(self.pause * 2) };
        self.waits = false;
        self.until = Some(time + self.pause);
    }

    /// Whether nothing has happened for as long as the last pause was.
    fn is_quiet(&self, time: Instant) -> bool {
        !self.waits && self.until.is_none_or(|until| until + self.pause <= time)
    }

    /// Whether the pauses have grown as long as they may be.
    fn is_restless(&self, time: Instant) -> bool {
        self.pause == MAX_LIST_CHANGED_INTERVAL && !self.is_quiet(time)
    }
}

/// What servers have said of their lists, each by the list: the templates have that of the resources.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Kind, (Pace, Option<InstanceId>)>);

impl Changes {
    /// An instance says that a list has changed. Returns whether that is to be passed on now.
    fn said(&mut self, kind: Kind, instance: InstanceId, time: Instant) -> bool {
        let (pace, by) = self.0.entry(kind).or_insert_with(|| (Pace::of_server(), None));
        *by = Some(instance);
        pace.happened(time)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(|(pace, _)| pace.due()).min()
    }

    /// The lists of which the server says without end that they have changed.
    pub(crate) fn restless(&self, time: Instant) -> impl Iterator<Item = Kind> {
        self.0.iter().filter(move |(_, (pace, _))| pace.is_restless(time)).map(|(&kind, _)| kind)
    }
}

/// What clients were told a moment ago, or are to be told.
#[derive(Debug, Default)]
pub(crate) struct News(BTreeMap<(ClientId, Kind), Pace>);

impl News {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(Pace::due).min()
    }

    pub(crate) fn forget(&mut self, client: ClientId) {
        self.0.retain(|(of, _), _| *of != client);
    }
}

impl Router {
    /// A server says that a list has changed. It concerns everybody who could have the list: clients of the instance,
    /// and all clients of the aggregated endpoint.
    pub(crate) fn list_changed(
        &mut self,
        instance_id: InstanceId,
        kind: Kind,
        bytes: &Bytes,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get(&instance_id) else { return };
        let name = instance.server.clone();
        for &client in &instance.clients {
            if !self.aggregates(client) {
                now.to_client(client, bytes.clone(), About::Session);
            }
        }
        self.note_change(instance_id, kind);
        let Some(server) = self.server_mut(&name) else { return };
        if server.changes.said(kind, instance_id, now.time) {
            self.pass_change(instance_id, kind, now);
        }
    }

    fn pass_change(&mut self, instance: InstanceId, kind: Kind, now: &mut Now<'_>) {
        for client in self.aggregating() {
            self.tell_changed_list(client, kind, now);
        }
        self.relist(instance, kind, now);
    }

    /// Tells a client that a list is another than it may know.
    pub(crate) fn tell_changed_list(&mut self, client: ClientId, kind: Kind, now: &mut Now<'_>) {
        let kind = kind.announced_as();
        let is_time = match self.clients.get(&client).map(|client| &client.endpoint) {
            Some(Endpoint::All) => {
                let pace = self.news.0.entry((client, kind)).or_insert_with(Pace::of_client);
                pace.happened(now.time)
            }
            Some(Endpoint::One(_)) => true,
            None => false,
        };
        if is_time {
            now.to_client(client, answer::notification(kind.changed()), About::Session);
        }
    }

    /// Says what has waited for its time.
    pub(crate) fn tell_news(&mut self, now: &mut Now<'_>) {
        let mut passed = Vec::new();
        for server in &mut self.servers {
            for (&kind, (pace, by)) in &mut server.changes.0 {
                if pace.take_due(now.time) {
                    passed.extend(by.map(|instance| (instance, kind)));
                }
            }
        }
        for (instance, kind) in passed {
            self.pass_change(instance, kind, now);
        }
        for (&(client, kind), pace) in &mut self.news.0 {
            if pace.take_due(now.time) {
                now.to_client(client, answer::notification(kind.changed()), About::Session);
            }
        }
        self.news.0.retain(|_, pace| !pace.is_quiet(now.time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When what happens at these times (in milliseconds) is passed on.
    fn passed(mut pace: Pace, happens: &[u64]) -> Vec<u128> {
        let start = Instant::now();
        let mut passed = Vec::new();
        let mut happens = happens.iter().map(|&at| start + Duration::from_millis(at)).peekable();
        loop {
            let due = pace.due();
            let Some(next) = happens.peek().copied().into_iter().chain(due).min() else { return passed };
            let is_passed =
                if due == Some(next) { pace.take_due(next) } else { pace.happened(happens.next().unwrap()) };
            passed.extend(is_passed.then(|| next.duration_since(start).as_millis()));
        }
    }

    #[test]
    fn the_first_passes_at_once_and_what_follows_together_and_the_last_is_never_lost() {
        assert_eq!(passed(Pace::of_server(), &[0]), [0]);
        assert_eq!(passed(Pace::of_server(), &[0, 0, 0, 1]), [0, 250]);
        assert_eq!(passed(Pace::of_server(), &[0, 1, 600, 2000]), [0, 250, 750, 2000]);
        assert_eq!(passed(Pace::of_client(), &[0, 1, 251, 252, 800, 5000]), [0, 250, 500, 800, 5000]);
    }

    #[test]
    fn what_goes_on_for_ever_is_passed_on_less_and_less_until_it_is_quiet() {
        let always: Vec<u64> = (0..600_000).step_by(50).collect();
        let told = passed(Pace::of_server(), &always);
        assert!(told.len() < 70, "in ten minutes: {told:?}");
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 10_000), "{told:?}");
        assert!(told.last().is_some_and(|last| *last >= 599_950), "{told:?}");
        // As often as it is passed on at first, and a little less.
        let often: Vec<u64> = (0..60_000).step_by(260).collect();
        assert!(passed(Pace::of_server(), &often).len() < 15);
        let (mut pace, start) = (Pace::of_server(), Instant::now());
        for at in &always {
            let time = start + Duration::from_millis(*at);
            pace.take_due(time);
            pace.happened(time);
        }
        let end = start + Duration::from_mins(10);
        assert!(pace.is_restless(end));
        assert!(pace.take_due(end + Duration::from_secs(10)));
        let quiet = end + Duration::from_mins(2);
        assert!(!pace.is_restless(quiet) && pace.happened(quiet));
        assert_eq!(pace.pause, MIN_LIST_CHANGED_INTERVAL);
    }
}
