//! Which request goes to a server next, when more come than it gets.
//!
//! A server has at most [`MAX_REQUESTS_PER_INSTANCE`] requests of clients to work on, and each client may always have [`MIN_SHARE_PER_CLIENT`] of them
//! there, so that calls that take long lock nobody out. What is more waits here, in the order in which each client
//! has sent it, and clients take turns: one that floods a server costs the others no more than their share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use exai_proto::{Id, Kind, Message};

use crate::limits::{MAX_QUEUED_BYTES, MAX_REQUESTS_PER_INSTANCE, MIN_SHARE_PER_CLIENT, TURN_TIMEOUT};
use crate::types::ids::ClientId;

/// A request that is held back.
#[derive(Debug)]
pub(crate) struct QueuedRequest {
    pub(crate) client: ClientId,
    pub(crate) message: Message,
    /// Its names are the server's own already: it was on its way before.
    pub(crate) translated: bool,
    /// The servers that did not have the resource which it is to read.
    pub(crate) tried: Vec<Arc<str>>,
}

impl QueuedRequest {
    /// A request as its client has sent it.
    pub(crate) fn new(client: ClientId, message: Message) -> Self {
        QueuedRequest { client, message, translated: false, tried: Vec::new() }
    }

    /// The request's id.
    pub(crate) fn id(&self) -> Option<Id> {
        match self.message.kind() {
            Kind::Request { id, .. } => Some(Id::from_json(self.message.at(id))),
            Kind::Notification { .. } | Kind::Response { .. } => None,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    /// How many requests of each client the server works on.
    open: HashMap<ClientId, u32>,
    all_open: u32,
    /// What waits, of each client, and until when.
    waiting: HashMap<ClientId, VecDeque<(QueuedRequest, Instant)>>,
    /// Whose turn it is. Holds those who have something waiting.
    turns: VecDeque<ClientId>,
    bytes: usize,
    /// Requests of one client at a time: the server asks, and does not say whom.
    exclusive: bool,
    /// The server reads no more: what waits goes to the next run.
    closed: bool,
}

impl FairQueue {
    /// Whether a request that comes now may go on at once.
    pub(crate) fn may_send_now(&self, client: ClientId) -> bool {
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
    pub(crate) fn begin_request(&mut self, client: ClientId) {
        *self.open.entry(client).or_default() += 1;
        self.all_open += 1;
    }

    /// It works on it no more.
    pub(crate) fn finish_request(&mut self, client: ClientId) {
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
    pub(crate) fn has_room(&self, queued: &QueuedRequest) -> bool {
        self.bytes + queued.message.bytes().len() <= MAX_QUEUED_BYTES
    }

    /// Lets a request wait for its turn, behind those that its client has sent before.
    pub(crate) fn push(&mut self, queued: QueuedRequest, time: Instant) {
        let client = queued.client;
        self.bytes += queued.message.bytes().len();
        let queue = self.waiting.entry(client).or_default();
        if queue.is_empty() {
            self.turns.push_back(client);
        }
        queue.push_back((queued, time + TURN_TIMEOUT));
    }

    /// The next that may go on.
    pub(crate) fn pop_next(&mut self) -> Option<QueuedRequest> {
        // Where clients wait for each other, nobody overtakes: who has the server now would keep it for ever.
        let most = if self.exclusive { 1 } else { self.turns.len() };
        let at = self.turns.iter().take(most).position(|client| self.may_send(*client))?;
        let client = self.turns.remove(at)?;
        let queue = self.waiting.get_mut(&client)?;
        let (queued, _) = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.bytes -= queued.message.bytes().len();
        Some(queued)
    }

    /// Takes out what waits and is meant.
    fn take(&mut self, mut is_meant: impl FnMut(&QueuedRequest, Instant) -> bool) -> Vec<QueuedRequest> {
        let mut taken = Vec::new();
        for client in self.turns.clone() {
            let Some(queue) = self.waiting.get_mut(&client) else { continue };
            for (queued, until) in std::mem::take(queue) {
                if is_meant(&queued, until) {
                    self.bytes -= queued.message.bytes().len();
                    taken.push(queued);
                } else {
                    queue.push_back((queued, until));
                }
            }
            if queue.is_empty() {
                self.waiting.remove(&client);
                self.turns.retain(|other| *other != client);
            }
        }
        taken
    }

    /// What has waited for too long.
    pub(crate) fn take_expired(&mut self, time: Instant) -> Vec<QueuedRequest> {
        if self.turns.is_empty() { Vec::new() } else { self.take(|_, until| until <= time) }
    }

    /// When the first of those that wait has waited for too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|queue| queue.front()).map(|(_, until)| *until).min()
    }

    /// What a client no longer wants.
    pub(crate) fn take_request(&mut self, client: ClientId, id: &Id) -> Option<QueuedRequest> {
        if !self.waiting.contains_key(&client) {
            return None;
        }
        let mut found = false;
        let mut is_it = |queued: &QueuedRequest| {
            let is_it = !found && queued.client == client && queued.id().as_ref() == Some(id);
            found |= is_it;
            is_it
        };
        self.take(|queued, _| is_it(queued)).pop()
    }

    /// What a client leaves behind.
    pub(crate) fn take_client(&mut self, client: ClientId) -> Vec<QueuedRequest> {
        if self.waiting.contains_key(&client) {
            self.take(|queued, _| queued.client == client)
        } else {
            Vec::new()
        }
    }

    /// Everything that waits.
    pub(crate) fn take_all(&mut self) -> Vec<QueuedRequest> {
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

    fn queued(client: u64, id: u32) -> QueuedRequest {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
        let message = Message::parse(text.into()).expect("a message");
        QueuedRequest::new(ClientId(client), message)
    }

    fn next(fair_queue: &mut FairQueue) -> Option<(u64, String)> {
        let queued = fair_queue.pop_next()?;
        fair_queue.begin_request(queued.client);
        Some((queued.client.0, String::from_utf8_lossy(queued.id()?.as_json()).into_owned()))
    }

    #[test]
    fn clients_take_turns_and_each_keeps_its_order() {
        let (mut fair_queue, now) = (FairQueue::default(), Instant::now());
        for _ in 0..MAX_REQUESTS_PER_INSTANCE {
            assert!(fair_queue.may_send_now(ClientId(1)));
            fair_queue.begin_request(ClientId(1));
        }
        assert!(
            !fair_queue.may_send_now(ClientId(1)) && fair_queue.may_send_now(ClientId(2)),
            "a share is everybody's"
        );
        for id in 0..3 {
            fair_queue.push(queued(1, id), now);
        }
        for _ in 0..MIN_SHARE_PER_CLIENT {
            fair_queue.begin_request(ClientId(2));
        }
        for id in 0..2 {
            fair_queue.push(queued(2, id), now);
        }
        assert_eq!(next(&mut fair_queue), None);
        let mut order = Vec::new();
        for client in [1, 1, 1, 1, 1, 1, 1, 1, 2] {
            fair_queue.finish_request(ClientId(client));
            order.extend(next(&mut fair_queue));
        }
        let expected = [(1, "0"), (2, "0"), (1, "1"), (2, "1"), (1, "2")];
        assert_eq!(order, expected.map(|(client, id)| (client, id.to_owned())));
        assert_eq!((fair_queue.len(), fair_queue.bytes, fair_queue.turns.len()), (0, 0, 0));
    }

    #[test]
    fn where_it_must_be_known_who_is_meant_clients_wait_for_each_other() {
        let (mut fair_queue, now) = (FairQueue::default(), Instant::now());
        fair_queue.begin_request(ClientId(1));
        fair_queue.begin_request(ClientId(2));
        fair_queue.make_exclusive();
        assert!(
            !fair_queue.may_send_now(ClientId(1)) && !fair_queue.may_send_now(ClientId(2)),
            "two are there from before"
        );
        fair_queue.finish_request(ClientId(2));
        assert!(fair_queue.may_send_now(ClientId(1)), "it has the server to itself");
        fair_queue.push(queued(2, 1), now);
        assert!(!fair_queue.may_send_now(ClientId(1)), "others are waiting");
        fair_queue.push(queued(1, 2), now);
        assert_eq!(next(&mut fair_queue), None, "nobody overtakes");
        fair_queue.finish_request(ClientId(1));
        assert_eq!(next(&mut fair_queue), Some((2, "1".to_owned())));
        assert_eq!(next(&mut fair_queue), None);
        fair_queue.finish_request(ClientId(2));
        assert_eq!(next(&mut fair_queue), Some((1, "2".to_owned())));
    }

    #[test]
    fn what_waits_is_found_again_by_time_by_id_and_by_client() {
        let (mut fair_queue, now) = (FairQueue::default(), Instant::now());
        fair_queue.close();
        for (client, id, after) in [(1, 1, 0), (1, 2, 9), (2, 1, 9), (2, 1, 9), (3, 3, 9)] {
            fair_queue.push(queued(client, id), now + Duration::from_secs(after));
        }
        assert!(fair_queue.pop_next().is_none(), "nobody reads any more");
        let ids = |all: Vec<QueuedRequest>| all.iter().map(|queued| queued.client.0).collect::<Vec<_>>();
        assert_eq!(ids(fair_queue.take_expired(now + TURN_TIMEOUT)), [1]);
        let two = Id::from_json(b"1");
        assert!(fair_queue.take_request(ClientId(2), &two).is_some());
        assert_eq!(fair_queue.len(), 3, "one of two with the same id");
        assert_eq!(ids(fair_queue.take_client(ClientId(1))), [1]);
        assert_eq!(ids(fair_queue.take_all()), [2, 3]);
        assert_eq!(
            (fair_queue.len(), fair_queue.bytes, fair_queue.turns.len(), fair_queue.waiting.len()),
            (0, 0, 0, 0)
        );
    }
}
