//! One session of Streamable HTTP: which message goes on which stream.
//!
//! Each message goes on exactly one stream: an answer on the stream of its POST, what comes up meanwhile on
//! the same stream, everything else on the GET stream. While there is no GET stream, a bounded number of
//! messages waits for it. What waits on all streams together is bounded in bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use exai_mux::{About, ClientId};
use exai_proto::{Id, Segments};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::session_usage::{Caller, Usage};
use crate::limits::{CLIENT_QUEUE, MAX_STREAM_MESSAGES, MAX_UNSTREAMED_BYTES, MAX_UNSTREAMED_MESSAGES};
use exai_os::process::ProcessInfo;
use exai_supervisor::turns::Turns;

/// The client does not read; it must be disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow {
    pub(crate) queued: usize,
}

#[derive(Debug)]
pub(crate) struct HttpSession {
    pub(crate) client: ClientId,
    state: Mutex<State>,
    /// Bytes on all streams that have not been taken.
    queued: Arc<AtomicUsize>,
    closed: CancellationToken,
    pub(crate) turns: Turns,
}

#[derive(Debug)]
struct State {
    /// Streams of POSTs, by the requests they carried that have no answer.
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
    /// Breaks the connection off: a response that nobody reads cannot be ended in any other way.
    hang_up: CancellationToken,
}

/// A message on a stream.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// It answers one of the POST's requests.
    Answer(Segments),
    /// One of the requests came too late to be served by this daemon. This answers it where it is too late to say so
    /// by a status.
    Refused(Segments),
    /// It came up on the way.
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
    /// The next message; none when the session ends or nothing more can come. Cancel safe.
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

/// Why there is no stream to be had.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoStream {
    /// The id of one of the requests is the id of one that is under way, or there is a GET stream already.
    InUse,
    /// The session has ended.
    Closed,
}

impl State {
    /// Whether somebody reads a response.
    fn has_streams(&mut self) -> bool {
        self.posts.retain(|_, post| !post.sender.is_closed());
        !self.posts.is_empty() || self.get.as_ref().is_some_and(|get| !get.sender.is_closed())
    }
}

impl HttpSession {
    pub(crate) fn new(client: ClientId, now: Instant) -> Self {
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
            state: Mutex::new(state),
            queued: Arc::default(),
            closed: CancellationToken::new(),
            turns: Turns::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, hang_up: CancellationToken) -> (Stream, Deliveries) {
        let (sender, receiver) = mpsc::channel(MAX_STREAM_MESSAGES);
        (Stream { sender, hang_up }, Deliveries { receiver, queued: self.queued.clone() })
    }

    /// The stream for a POST that carries these requests.
    pub(crate) fn post(&self, ids: &[Id], hang_up: CancellationToken) -> Result<Deliveries, NoStream> {
        let (stream, deliveries) = self.stream(hang_up);
        let mut state = self.state();
        if self.is_closed() {
            // Nobody would end a stream that is opened after the others were ended.
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

    /// The GET stream.
    pub(crate) fn get(&self, hang_up: CancellationToken) -> Result<Deliveries, NoStream> {
        let mut state = self.state();
        if self.is_closed() {
            return Err(NoStream::Closed);
        }
        if state.get.as_ref().is_some_and(|open| !open.sender.is_closed()) {
            return Err(NoStream::InUse);
        }
        let (stream, deliveries) = self.stream(hang_up);
        state.waiting_bytes = 0;
        for message in std::mem::take(&mut state.waiting) {
            // There is room: fewer wait than a stream holds.
            let _ = self.put(&stream, Delivery::Aside(message));
        }
        state.get = Some(stream);
        Ok(deliveries)
    }

    /// Puts a message on its stream. Never waits.
    pub(crate) fn deliver(&self, bytes: Segments, about: About) -> Result<(), TooSlow> {
        let mut state = self.state();
        let bytes = match about {
            About::Answer(id) => {
                return match state.posts.remove(&id) {
                    Some(post) => self.put(&post, Delivery::Answer(bytes)).map(drop),
                    // The client went away: its answer has nowhere to go.
                    None => Ok(()),
                };
            }
            About::During(id) => {
                match state.posts.get(&id).map(|post| self.put(post, Delivery::Aside(bytes.clone()))) {
                    Some(Ok(Put::Taken)) => return Ok(()),
                    Some(Err(slow)) => return Err(slow),
                    Some(Ok(Put::Gone)) | None => bytes,
                }
            }
            About::Session => bytes,
        };
        match state.get.as_ref().map(|get| self.put(get, Delivery::Aside(bytes.clone()))) {
            Some(Ok(Put::Taken)) => return Ok(()),
            Some(Err(slow)) => return Err(slow),
            Some(Ok(Put::Gone)) | None => {}
        }
        state.waiting_bytes += bytes.len();
        state.waiting.push_back(bytes);
        while state.waiting.len() > MAX_UNSTREAMED_MESSAGES || state.waiting_bytes > MAX_UNSTREAMED_BYTES {
            let dropped = state.waiting.pop_front().map_or(0, |dropped| dropped.len());
            state.waiting_bytes -= dropped;
        }
        Ok(())
    }

    fn put(&self, stream: &Stream, delivery: Delivery) -> Result<Put, TooSlow> {
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
            Ok(()) => Ok(Put::Taken),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(Put::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => Err(TooSlow { queued }),
        }
    }

    /// This request was not served, and never will be by this daemon.
    pub(crate) fn refuse(&self, id: &Id, bytes: Bytes) -> Result<(), TooSlow> {
        let post = self.state().posts.remove(id);
        post.map_or(Ok(()), |post| self.put(&post, Delivery::Refused(bytes.into())).map(drop))
    }

    /// This request will get no answer: its stream may end.
    pub(crate) fn drop_request(&self, id: &Id) {
        self.state().posts.remove(id);
    }

    /// Notes that the client was here.
    pub(crate) fn touch(&self, caller: Option<Arc<Caller>>, now: Instant) {
        let mut state = self.state();
        state.last_used = now;
        state.usage.hear(caller, now);
    }

    /// The connections of the requests that have come since the last look.
    pub(crate) fn callers(&self) -> Vec<Arc<Caller>> {
        self.state().usage.callers().cloned().collect()
    }

    /// Takes into account who has made them.
    pub(crate) fn learn(&self, table: &[ProcessInfo], now: Instant) {
        self.state().usage.learn(table, now);
    }

    /// The process with which this session ends.
    pub(crate) fn process(&self) -> Option<u32> {
        self.state().usage.process().map(|process| process.pid)
    }

    /// Ends it if its process is gone. A stream that is open all the same is somebody else's. Returns whether it did.
    pub(crate) fn end_if_orphaned(&self, table: &[ProcessInfo]) -> bool {
        let mut state = self.state();
        let orphaned = state.usage.is_orphaned(table) && !state.has_streams();
        if orphaned {
            // While nobody can open another.
            self.closed.cancel();
        }
        orphaned
    }

    /// Since when nothing has been heard and no stream has been open.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let mut state = self.state();
        (!state.has_streams()).then_some(state.last_used)
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Ends all streams after what is on them, or breaks them off.
    pub(crate) fn close(&self, break_off: bool) {
        self.closed.cancel();
        let mut state = self.state();
        let streams = state.posts.drain().map(|(_, post)| post).collect::<Vec<_>>();
        for stream in streams.into_iter().chain(state.get.take()) {
            if break_off {
                stream.hang_up.cancel();
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

/// What became of a message that was put on a stream.
enum Put {
    Taken,
    /// Nobody is at the other end.
    Gone,
}
