//! Which request goes to a server next, when more come than it gets.
//!
//! A server has at most [`MAX_REQUESTS_PER_INSTANCE`] requests of clients to work on, and each client may always have [`MIN_SHARE_PER_CLIENT`] of them
//! there, so that calls that take long lock nobody out. What is more waits here, in the order in which each client
//! has sent it, and clients take turns: one that floods a server costs the others no more than their share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use exai_proto::{Id, Kind as Shape, Message};

use crate::limits::{MAX_QUEUED_BYTES, MAX_REQUESTS_PER_INSTANCE, MIN_SHARE_PER_CLIENT, TURN_TIMEOUT};
use crate::types::ids::ClientId;

/// A request that is held back.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) client: ClientId,
    pub(crate) message: Message,
    /// Its names are the server's own already: it was on its way before.
    pub(crate) translated: bool,
    /// The servers that did not have the resource which it is to read.
    pub(crate) tried: Vec<Arc<str>>,
}

impl Held {
    /// A request as its client has sent it.
    pub(crate) fn new(client: ClientId, message: Message) -> Self {
        Held { client, message, translated: false, tried: Vec::new() }
    }

    /// The request's id.
    pub(crate) fn id(&self) -> Option<Id> {
        match self.message.kind() {
            Shape::Request { id, .. } => Some(Id::from_json(self.message.at(id))),
            Shape::Notification { .. } | Shape::Response { .. } => None,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// How many requests of each client the server works on.
    open: HashMap<ClientId, u32>,
    all_open: u32,
    /// What waits, of each client, and until when.
    waiting: HashMap<ClientId, VecDeque<(Held, Instant)>>,
    /// Whose turn it is. Holds those who have something waiting.
    turns: VecDeque<ClientId>,
    bytes: usize,
    /// Requests of one client at a time: the server asks, and does not say whom.
    exclusive: bool,
    /// The server reads no more: what waits goes to the next run.
    closed: bool,
}

impl Lanes {
    /// Whether a request that comes now may go on at once.
    pub(crate) fn is_free(&self, client: ClientId) -> bool {
        let first = if self.exclusive { self.turns.is_empty() } else { !self.waiting.contains_key(&client) };
        first && self.may_send(client)
    }

    fn may_send(&self, client: ClientId) -> bool {
        let open = self.open.get(&client).copied().unwrap_or_default();
        if self.exclusive && open != self.all_open {
            return false;
        }
        !self.closed && (self.all_open < MAX_REQUESTS_PER_INSTANCE || open < MIN_SHARE_PER_CLIENT)
    }

    /// The server has got a request.
    pub(crate) fn opened(&mut self, client: ClientId) {
        *self.open.entry(client).or_default() += 1;
        self.all_open += 1;
    }

    /// It works on it no more.
    pub(crate) fn finished(&mut self, client: ClientId) {
        if let Some(open) = self.open.get_mut(&client) {
            *open -= 1;
            self.all_open -= 1;
            if *open == 0 {
                self.open.remove(&client);
            }
        }
    }

    /// No request goes on any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// From here on it gets the requests of one client at a time.
    pub(crate) fn make_exclusive(&mut self) {
        self.exclusive = true;
    }

    /// Whether the server works for more than one client now.
    pub(crate) fn serves_several(&self) -> bool {
        self.open.len() > 1
    }

    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Whether one more may wait.
    pub(crate) fn has_room(&self, held: &Held) -> bool {
        self.bytes + held.message.bytes().len() <= MAX_QUEUED_BYTES
    }

    /// Lets a request wait for its turn, behind those that its client has sent before.
    pub(crate) fn wait(&mut self, held: Held, time: Instant) {
        let client = held.client;
        self.bytes += held.message.bytes().len();
        let lane = self.waiting.entry(client).or_default();
        if lane.is_empty() {
            self.turns.push_back(client);
        }
        lane.push_back((held, time + TURN_TIMEOUT));
    }

    /// The next that may go on.
    pub(crate) fn next(&mut self) -> Option<Held> {
        // Where clients wait for each other, nobody overtakes: who has the server now would keep it for ever.
        let most = if self.exclusive { 1 } else { self.turns.len() };
        let at = self.turns.iter().take(most).position(|client| self.may_send(*client))?;
        let client = self.turns.remove(at)?;
        let lane = self.waiting.get_mut(&client)?;
        let (held, _) = lane.pop_front()?;
        if lane.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.bytes -= held.message.bytes().len();
        Some(held)
    }

    /// Takes out what waits and is meant.
    pub(crate) fn take(&mut self, mut is_meant: impl FnMut(&Held, Instant) -> bool) -> Vec<Held> {
        let mut taken = Vec::new();
        for client in self.turns.clone() {
            let Some(lane) = self.waiting.get_mut(&client) else { continue };
            for (held, until) in std::mem::take(lane) {
                if is_meant(&held, until) {
                    self.bytes -= held.message.bytes().len();
                    taken.push(held);
                } else {
                    lane.push_back((held, until));
                }
            }
            if lane.is_empty() {
                self.waiting.remove(&client);
                self.turns.retain(|other| *other != client);
            }
        }
        taken
    }

    /// What has waited for too long.
    pub(crate) fn expired(&mut self, time: Instant) -> Vec<Held> {
        if self.turns.is_empty() { Vec::new() } else { self.take(|_, until| until <= time) }
    }

    /// When the first of those that wait has waited for too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|lane| lane.front()).map(|(_, until)| *until).min()
    }

    /// What a client no longer wants.
    pub(crate) fn cancelled(&mut self, client: ClientId, id: &Id) -> Option<Held> {
        if !self.waiting.contains_key(&client) {
            return None;
        }
        let mut found = false;
        let mut is_it = |held: &Held| {
            let is_it = !found && held.client == client && held.id().as_ref() == Some(id);
            found |= is_it;
            is_it
        };
        self.take(|held, _| is_it(held)).pop()
    }

    /// What a client leaves behind.
    pub(crate) fn of(&mut self, client: ClientId) -> Vec<Held> {
        if self.waiting.contains_key(&client) {
            self.take(|held, _| held.client == client)
        } else {
            Vec::new()
        }
    }

    /// Everything that waits.
    pub(crate) fn all(&mut self) -> Vec<Held> {
        if self.turns.is_empty() { Vec::new() } else { self.take(|_, _| true) }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn held(client: u64, id: u32) -> Held {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
        let message = Message::parse(text.into()).expect("a message");
        Held::new(ClientId(client), message)
    }

    fn next(lanes: &mut Lanes) -> Option<(u64, String)> {
        let held = lanes.next()?;
        lanes.opened(held.client);
        Some((held.client.0, String::from_utf8_lossy(held.id()?.as_json()).into_owned()))
    }

    #[test]
    fn clients_take_turns_and_each_keeps_its_order() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        for _ in 0..MAX_REQUESTS_PER_INSTANCE {
            assert!(lanes.is_free(ClientId(1)));
            lanes.opened(ClientId(1));
        }
        assert!(!lanes.is_free(ClientId(1)) && lanes.is_free(ClientId(2)), "a share is everybody's");
        for id in 0..3 {
            lanes.wait(held(1, id), now);
        }
        for _ in 0..MIN_SHARE_PER_CLIENT {
            lanes.opened(ClientId(2));
        }
        for id in 0..2 {
            lanes.wait(held(2, id), now);
        }
        assert_eq!(next(&mut lanes), None);
        let mut order = Vec::new();
        for client in [1, 1, 1, 1, 1, 1, 1, 1, 2] {
            lanes.finished(ClientId(client));
            order.extend(next(&mut lanes));
        }
        let expected = [(1, "0"), (2, "0"), (1, "1"), (2, "1"), (1, "2")];
        assert_eq!(order, expected.map(|(client, id)| (client, id.to_owned())));
        assert_eq!((lanes.len(), lanes.bytes, lanes.turns.len()), (0, 0, 0));
    }

    #[test]
    fn where_it_must_be_known_who_is_meant_clients_wait_for_each_other() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        lanes.opened(ClientId(1));
        lanes.opened(ClientId(2));
        lanes.make_exclusive();
        assert!(!lanes.is_free(ClientId(1)) && !lanes.is_free(ClientId(2)), "two are there from before");
        lanes.finished(ClientId(2));
        assert!(lanes.is_free(ClientId(1)), "it has the server to itself");
        lanes.wait(held(2, 1), now);
        assert!(!lanes.is_free(ClientId(1)), "others are waiting");
        lanes.wait(held(1, 2), now);
        assert_eq!(next(&mut lanes), None, "nobody overtakes");
        lanes.finished(ClientId(1));
        assert_eq!(next(&mut lanes), Some((2, "1".to_owned())));
        assert_eq!(next(&mut lanes), None);
        lanes.finished(ClientId(2));
        assert_eq!(next(&mut lanes), Some((1, "2".to_owned())));
    }

    #[test]
    fn what_waits_is_found_again_by_time_by_id_and_by_client() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        lanes.close();
        for (client, id, after) in [(1, 1, 0), (1, 2, 9), (2, 1, 9), (2, 1, 9), (3, 3, 9)] {
            lanes.wait(held(client, id), now + Duration::from_secs(after));
        }
        assert!(lanes.next().is_none(), "nobody reads any more");
        let ids = |all: Vec<Held>| all.iter().map(|held| held.client.0).collect::<Vec<_>>();
        assert_eq!(ids(lanes.expired(now + TURN_TIMEOUT)), [1]);
        let two = Id::from_json(b"1");
        assert!(lanes.cancelled(ClientId(2), &two).is_some());
        assert_eq!(lanes.len(), 3, "one of two with the same id");
        assert_eq!(ids(lanes.of(ClientId(1))), [1]);
        assert_eq!(ids(lanes.all()), [2, 3]);
        assert_eq!((lanes.len(), lanes.bytes, lanes.turns.len(), lanes.waiting.len()), (0, 0, 0, 0));
    }
}
