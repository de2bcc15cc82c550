//! One client of Streamable HTTP: which message goes on which stream.
//!
//! Each message goes on exactly one stream: an answer, and the messages that belong to its request, on the stream of the
//! POST; every other message on the GET stream. While there is no GET stream, a bounded number of messages waits for
//! it. The bytes that wait on all streams together have a bound.
//!
//! In the legacy era such a client is a session. In the modern era it is a connection, and has no GET stream: what belongs
//! to no request is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use exai_mux::{About, ClientId};
use exai_proto::{Id, Segments};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::session_process::{Caller, Usage};
use crate::limits::{CLIENT_QUEUE, MAX_STREAM_MESSAGES, MAX_UNSTREAMED_BYTES, MAX_UNSTREAMED_MESSAGES};
use crate::state::holder::Holder;
use exai_os::process::ProcessInfo;
use exai_supervisor::turns::Turns;

/// The client reads too slowly and must be disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow {
    /// Bytes that wait for the client.
    pub(crate) queued: usize,
}

/// One client: its streams, and how it was used.
#[derive(Debug)]
pub(crate) struct HttpSession {
    pub(crate) client: ClientId,
    /// Whose token has opened it. Nobody else uses it.
    pub(crate) holder: Holder,
    /// The client is of the modern era.
    stateless: bool,
    state: Mutex<State>,
    /// Bytes on all streams that were not taken yet.
    queued: Arc<AtomicUsize>,
    closed: CancellationToken,
    pub(crate) turns: Turns,
}

#[derive(Debug)]
struct State {
    /// The streams of POSTs, by the ids of their unanswered requests.
    posts: HashMap<Id, Stream>,
    get: Option<Stream>,
    waiting: VecDeque<Segments>,
    waiting_bytes: usize,
    last_used: Instant,
    usage: Usage,
}

/// The sending side of one response.
#[derive(Debug, Clone)]
struct Stream {
    sender: mpsc::Sender<Delivery>,
    /// Breaks the connection: a response that the client does not read cannot be ended in any other way.
    disconnect: CancellationToken,
}

/// A message on a stream.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The answer to one of the POST's requests.
    Answer(Segments),
    /// The answer to a request that came too late to be served by this daemon, for a response whose status was sent
    /// already.
    Refused(Segments),
    /// Any other message.
    Aside(Segments),
}

impl Delivery {
    fn bytes(&self) -> &Segments {
        match self {
            Delivery::Answer(bytes) | Delivery::Refused(bytes) | Delivery::Aside(bytes) => bytes,
        }
    }
}

/// The receiving side of one response.
#[derive(Debug)]
pub(crate) struct Deliveries {
    receiver: mpsc::Receiver<Delivery>,
    queued: Arc<AtomicUsize>,
}

impl Deliveries {
    /// The next message; `None` when the session has ended or no more messages can come. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.receiver.recv().await?;
        self.queued.fetch_sub(delivery.bytes().len(), Ordering::Relaxed);
        Some(delivery)
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(delivery) = self.receiver.try_recv() {
            self.queued.fetch_sub(delivery.bytes().len(), Ordering::Relaxed);
        }
    }
}

/// Why no stream can be opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoStream {
    /// One of the requests has the id of a request under way, or there is a GET stream already.
    InUse,
    /// The session has ended.
    Closed,
}

impl State {
    /// Whether the session has an open stream.
    fn has_streams(&mut self) -> bool {
        self.posts.retain(|_, post| !post.sender.is_closed());
        !self.posts.is_empty() || self.get.as_ref().is_some_and(|get| !get.sender.is_closed())
    }
}

impl HttpSession {
    pub(crate) fn new(client: ClientId, holder: Holder, stateless: bool, now: Instant) -> Self {
        let state = State {
            posts: HashMap::new(),
            get: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_used: now,
            usage: Usage::default(),
        };
        HttpSession {
            client,
            holder,
            stateless,
            state: Mutex::new(state),
            queued: Arc::default(),
            closed: CancellationToken::new(),
            turns: Turns::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_stream(&self, disconnect: CancellationToken) -> (Stream, Deliveries) {
        let (sender, receiver) = mpsc::channel(MAX_STREAM_MESSAGES);
        (Stream { sender, disconnect }, Deliveries { receiver, queued: self.queued.clone() })
    }

    /// Opens the stream for a POST that carries these requests.
    pub(crate) fn open_post_stream(
        &self,
        ids: &[Id],
        disconnect: CancellationToken,
    ) -> Result<Deliveries, NoStream> {
        let (stream, deliveries) = self.new_stream(disconnect);
        let mut state = self.state();
        if self.is_closed() {
            // A stream that is opened after `close` would never be ended.
            return Err(NoStream::Closed);
        }
        if ids.iter().any(|id| state.posts.get(id).is_some_and(|post| !post.sender.is_closed())) {
            return Err(NoStream::InUse);
        }
        for id in ids {
            state.posts.insert(id.clone(), stream.clone());
        }
        Ok(deliveries)
    }

    /// Opens the GET stream, with the messages that wait for it.
    pub(crate) fn open_get_stream(&self, disconnect: CancellationToken) -> Result<Deliveries, NoStream> {
        let mut state = self.state();
        if self.is_closed() {
            return Err(NoStream::Closed);
        }
        if state.get.as_ref().is_some_and(|open| !open.sender.is_closed()) {
            return Err(NoStream::InUse);
        }
        let (stream, deliveries) = self.new_stream(disconnect);
        state.waiting_bytes = 0;
        for message in std::mem::take(&mut state.waiting) {
            // There is room: MAX_UNSTREAMED_MESSAGES is below MAX_STREAM_MESSAGES.
            let _ = self.push_delivery(&stream, Delivery::Aside(message));
        }
        state.get = Some(stream);
        Ok(deliveries)
    }

    /// Puts a message on its stream. Never waits.
    pub(crate) fn deliver_message(&self, bytes: Segments, about: About) -> Result<(), TooSlow> {
        let mut state = self.state();
        let bytes = match about {
            About::Answer(id) => {
                return match state.posts.remove(&id) {
                    Some(post) => self.push_delivery(&post, Delivery::Answer(bytes)).map(drop),
                    // The client went away, so the answer is dropped.
                    None => Ok(()),
                };
            }
            About::During(id) => {
                match state
                    .posts
                    .get(&id)
                    .map(|post| self.push_delivery(post, Delivery::Aside(bytes.clone())))
                {
                    Some(Ok(Pushed::Taken)) => return Ok(()),
                    Some(Err(slow)) => return Err(slow),
                    Some(Ok(Pushed::Gone)) | None => bytes,
                }
            }
            About::Session => bytes,
        };
        if self.stateless {
            return Ok(());
        }
        match state.get.as_ref().map(|get| self.push_delivery(get, Delivery::Aside(bytes.clone()))) {
            Some(Ok(Pushed::Taken)) => return Ok(()),
            Some(Err(slow)) => return Err(slow),
            Some(Ok(Pushed::Gone)) | None => {}
        }
        state.waiting_bytes += bytes.len();
        state.waiting.push_back(bytes);
        while state.waiting.len() > MAX_UNSTREAMED_MESSAGES || state.waiting_bytes > MAX_UNSTREAMED_BYTES {
            let dropped = state.waiting.pop_front().map_or(0, |dropped| dropped.len());
            state.waiting_bytes -= dropped;
        }
        Ok(())
    }

    fn push_delivery(&self, stream: &Stream, delivery: Delivery) -> Result<Pushed, TooSlow> {
        let length = delivery.bytes().len();
        let queued = self.queued.fetch_add(length, Ordering::Relaxed);
        let sent = if CLIENT_QUEUE.admits(queued, length) {
            stream.sender.try_send(delivery)
        } else {
            Err(mpsc::error::TrySendError::Full(delivery))
        };
        if sent.is_err() {
            self.queued.fetch_sub(length, Ordering::Relaxed);
        }
        match sent {
            Ok(()) => Ok(Pushed::Taken),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(Pushed::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => Err(TooSlow { queued }),
        }
    }

    /// Answers a request that this daemon will not serve.
    pub(crate) fn refuse_request(&self, id: &Id, bytes: Bytes) -> Result<(), TooSlow> {
        let post = self.state().posts.remove(id);
        post.map_or(Ok(()), |post| self.push_delivery(&post, Delivery::Refused(bytes.into())).map(drop))
    }

    /// Forgets a request that will get no answer: its stream may end.
    pub(crate) fn drop_request(&self, id: &Id) {
        self.state().posts.remove(id);
    }

    /// Records that a request came, over the connection of `caller`.
    pub(crate) fn record_request(&self, caller: Option<Arc<Caller>>, now: Instant) {
        let mut state = self.state();
        state.last_used = now;
        state.usage.record_request(caller, now);
    }

    /// The connections of the requests that have come since the last update.
    pub(crate) fn recent_callers(&self) -> Vec<Arc<Caller>> {
        self.state().usage.recent_callers().cloned().collect()
    }

    /// Updates the usage with the processes of those connections.
    pub(crate) fn update_usage(&self, table: &[ProcessInfo], now: Instant) {
        self.state().usage.update_owner(table, now);
    }

    /// The id of the process with which this session ends.
    pub(crate) fn owner_pid(&self) -> Option<u32> {
        self.state().usage.owner().map(|process| process.pid)
    }

    /// Ends the session if its process is gone and no stream is open: an open stream belongs to another process. Returns
    /// whether the session was ended.
    pub(crate) fn end_if_orphaned(&self, table: &[ProcessInfo]) -> bool {
        let mut state = self.state();
        let orphaned = state.usage.is_orphaned(table) && !state.has_streams();
        if orphaned {
            // The lock on the state keeps streams from being opened meanwhile.
            self.closed.cancel();
        }
        orphaned
    }

    /// When the session was last used; `None` while it has an open stream.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let mut state = self.state();
        (!state.has_streams()).then_some(state.last_used)
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Ends all streams once their messages were sent, or breaks their connections at once.
    pub(crate) fn close(&self, disconnect: bool) {
        self.closed.cancel();
        let mut state = self.state();
        let streams = state.posts.drain().map(|(_, post)| post).collect::<Vec<_>>();
        for stream in streams.into_iter().chain(state.get.take()) {
            if disconnect {
                stream.disconnect.cancel();
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

/// What became of a message that was pushed onto a stream.
enum Pushed {
    Taken,
    /// The response has ended.
    Gone,
}

#[cfg(test)]
mod tests {
    use exai_os::clock;

    use super::*;

    #[test]
    fn what_belongs_to_no_request_waits_for_a_get_stream_only_where_there_can_be_one() {
        for (stateless, waiting) in [(false, 2), (true, 0)] {
            let session = HttpSession::new(ClientId(1), Holder::Account, stateless, clock::now());
            let (open, gone) = (Id::number(1), Id::number(2));
            let mut post = session
                .open_post_stream(std::slice::from_ref(&open), CancellationToken::new())
                .expect("open");
            let text = || Segments::from(Bytes::from_static(b"{}"));
            for about in [About::Session, About::During(gone), About::During(open.clone())] {
                session.deliver_message(text(), about).expect("room");
            }
            assert_eq!(session.state().waiting.len(), waiting);
            assert!(matches!(post.receiver.try_recv(), Ok(Delivery::Aside(_))), "its own goes on its stream");
            assert!(post.receiver.try_recv().is_err());
        }
    }
}
