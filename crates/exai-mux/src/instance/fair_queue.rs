//! The queue of an instance: which request the server gets next.
//!
//! A server works on at most [`MAX_REQUESTS_PER_INSTANCE`] requests at a time. Each client may always have
//! [`MIN_SHARE_PER_CLIENT`] of them there, so that long calls of one client lock no other out. Further requests wait
//! here, those of each client in the order in which it has sent them, and clients take turns: a client that floods a
//! server costs the others no more than their share.

use std::collections::VecDeque;
use std::time::Instant;

use exai_proto::Message;

use crate::limits::{MAX_QUEUED_BYTES, MAX_REQUESTS_PER_INSTANCE, MIN_SHARE_PER_CLIENT, TURN_TIMEOUT};
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, MintedMap};

/// A request that waits.
#[derive(Debug, Clone)]
pub(crate) struct QueuedRequest {
    pub(crate) call: CallId,
    /// The era in which the client has made the request.
    pub(crate) era: Era,
    pub(crate) message: Message,
    /// Whether the names in the request are those of the server already: the request was sent before.
    pub(crate) translated: bool,
}

impl QueuedRequest {
    /// A request as its client has sent it.
    pub(crate) fn new(call: CallId, era: Era, message: Message) -> Self {
        QueuedRequest { call, era, message, translated: false }
    }
}

/// The queue of one instance.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    /// How many requests of each client the server works on.
    open: MintedMap<ClientId, u32>,
    all_open: u32,
    /// The requests of each client that wait, and until when each waits.
    waiting: MintedMap<ClientId, VecDeque<(QueuedRequest, Instant)>>,
    /// The clients that have requests waiting, in the order of their turns.
    turns: VecDeque<ClientId>,
    bytes: usize,
    /// Whether the server gets the requests of one client at a time: it asks questions that do not say which client
    /// they are meant for.
    exclusive: bool,
    /// Whether the server gets one request at a time: it asks clients of the modern era questions that do not say which
    /// request they belong to.
    serial: bool,
    /// Whether the server reads no more. What waits goes to the next instance.
    closed: bool,
}

impl FairQueue {
    /// Whether a request that comes now may be sent at once.
    pub(crate) fn may_send_now(&self, client: ClientId) -> bool {
        let first = if self.exclusive { self.turns.is_empty() } else { !self.waiting.contains_key(&client) };
        first && self.may_send(client)
    }

    fn may_send(&self, client: ClientId) -> bool {
        let open = self.open.get(&client).copied().unwrap_or_default();
        if self.exclusive && open != self.all_open || self.serial && self.all_open > 0 {
            return false;
        }
        !self.closed && (self.all_open < MAX_REQUESTS_PER_INSTANCE || open < MIN_SHARE_PER_CLIENT)
    }

    /// The server has got a request of the client.
    pub(crate) fn begin_request(&mut self, client: ClientId) {
        *self.open.entry(client).or_default() += 1;
        self.all_open += 1;
    }

    /// The server no longer works on a request of the client.
    pub(crate) fn finish_request(&mut self, client: ClientId) {
        if let Some(open) = self.open.get_mut(&client) {
            *open -= 1;
            self.all_open -= 1;
            if *open == 0 {
                self.open.remove(&client);
            }
        }
    }

    /// From now on no request is sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// From now on the server gets the requests of one client at a time.
    pub(crate) fn make_exclusive(&mut self) {
        self.exclusive = true;
    }

    /// From now on the server gets one request at a time.
    pub(crate) fn make_serial(&mut self) {
        self.serial = true;
        self.exclusive = true;
    }

    /// Whether the server works for more than one client now.
    pub(crate) fn serves_several(&self) -> bool {
        self.open.len() > 1
    }

    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Whether one more request may wait.
    pub(crate) fn has_room(&self, queued: &QueuedRequest) -> bool {
        self.bytes + queued.message.bytes().len() <= MAX_QUEUED_BYTES
    }

    /// Lets a request wait for its turn, behind those that its client has sent before.
    pub(crate) fn push(&mut self, queued: QueuedRequest, time: Instant) {
        let client = queued.call.client;
        self.bytes += queued.message.bytes().len();
        let queue = self.waiting.entry(client).or_default();
        if queue.is_empty() {
            self.turns.push_back(client);
        }
        queue.push_back((queued, time + TURN_TIMEOUT));
    }

    /// Takes the next request that may be sent.
    pub(crate) fn pop_next(&mut self) -> Option<QueuedRequest> {
        // Where clients wait for each other, no client overtakes: the client that has the server now would keep it
        // for ever.
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

    /// Takes out the requests that are meant.
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

    /// Takes the requests that have waited for too long.
    pub(crate) fn take_expired(&mut self, time: Instant) -> Vec<QueuedRequest> {
        if self.turns.is_empty() { Vec::new() } else { self.take(|_, until| until <= time) }
    }

    /// When the first request will have waited for too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|queue| queue.front()).map(|(_, until)| *until).min()
    }

    /// Takes out a call that its client has cancelled. Returns whether the call was there.
    pub(crate) fn remove_call(&mut self, call: CallId) -> bool {
        self.waiting.contains_key(&call.client) && !self.take(|queued, _| queued.call == call).is_empty()
    }

    /// Takes all requests of a client.
    pub(crate) fn take_client(&mut self, client: ClientId) -> Vec<QueuedRequest> {
        if self.waiting.contains_key(&client) {
            self.take(|queued, _| queued.call.client == client)
        } else {
            Vec::new()
        }
    }

    /// Takes all requests.
    pub(crate) fn take_all(&mut self) -> Vec<QueuedRequest> {
        if self.turns.is_empty() { Vec::new() } else { self.take(|_, _| true) }
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queued(client: u64, number: u64) -> QueuedRequest {
        let message = Message::parse(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#.into()).expect("a message");
        QueuedRequest::new(CallId { client: ClientId(client), number }, Era::Legacy, message)
    }

    fn next(fair_queue: &mut FairQueue) -> Option<(u64, u64)> {
        let CallId { client, number } = fair_queue.pop_next()?.call;
        fair_queue.begin_request(client);
        Some((client.0, number))
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
        assert_eq!(order, [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)]);
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
        assert_eq!(next(&mut fair_queue), Some((2, 1)));
        assert_eq!(next(&mut fair_queue), None);
        fair_queue.finish_request(ClientId(2));
        assert_eq!(next(&mut fair_queue), Some((1, 2)));
    }

    #[test]
    fn what_waits_is_found_again_by_time_by_call_and_by_client() {
        let (mut fair_queue, now) = (FairQueue::default(), Instant::now());
        fair_queue.close();
        for (client, number, after) in [(1, 1, 0), (1, 2, 9), (2, 1, 9), (2, 2, 9), (3, 3, 9)] {
            fair_queue.push(queued(client, number), now + Duration::from_secs(after));
        }
        assert!(fair_queue.pop_next().is_none(), "nobody reads any more");
        let ids = |all: Vec<QueuedRequest>| all.iter().map(|queued| queued.call.client.0).collect::<Vec<_>>();
        assert_eq!(ids(fair_queue.take_expired(now + TURN_TIMEOUT)), [1]);
        let call = queued(2, 1).call;
        assert!(fair_queue.remove_call(call) && !fair_queue.remove_call(call));
        assert_eq!(fair_queue.len(), 3, "one of two of the client");
        assert_eq!(ids(fair_queue.take_client(ClientId(1))), [1]);
        assert_eq!(ids(fair_queue.take_all()), [2, 3]);
        assert_eq!(
            (fair_queue.len(), fair_queue.bytes, fair_queue.turns.len(), fair_queue.waiting.len()),
            (0, 0, 0, 0)
        );
    }
}
