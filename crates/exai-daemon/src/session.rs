//! One session of Streamable HTTP: which message goes on which stream.
//!
//! Each message goes on exactly one stream: an answer on the stream of its POST, what comes up meanwhile on
//! the same stream, everything else on the GET stream. While there is no GET stream, a bounded number of
//! messages waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use exai_mux::{About, ClientId};
use exai_proto::Id;
use tokio::sync::{mpsc, watch};

use crate::sink::TooSlow;

/// How many messages may wait on one stream.
const STREAM: usize = 1024;
/// How many messages, and bytes, wait for a GET stream.
const WAITING: usize = 256;
const WAITING_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: ClientId,
    state: Mutex<State>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// Streams of POSTs, by the requests they carried.
    posts: HashMap<Id, mpsc::Sender<Delivery>>,
    get: Option<mpsc::Sender<Bytes>>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    last_used: Instant,
}

/// A message on the stream of a POST.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// It answers one of the POST's requests.
    Answer(Bytes),
    /// It came up on the way.
    Aside(Bytes),
}

impl Session {
    pub(crate) fn new(client: ClientId, now: Instant) -> Self {
        let state = State {
            posts: HashMap::new(),
            get: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_used: now,
        };
        Session { client, state: Mutex::new(state), closed: watch::Sender::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream for a POST that carries these requests.
    pub(crate) fn post(&self, ids: &[Id]) -> mpsc::Receiver<Delivery> {
        let (sender, receiver) = mpsc::channel(STREAM);
        let mut state = self.state();
        for id in ids {
            state.posts.insert(id.clone(), sender.clone());
        }
        receiver
    }

    /// The GET stream, or `None` if there is one already.
    pub(crate) fn get(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut state = self.state();
        if state.get.as_ref().is_some_and(|open| !open.is_closed()) {
            return None;
        }
        let (sender, receiver) = mpsc::channel(STREAM);
        state.waiting_bytes = 0;
        for message in std::mem::take(&mut state.waiting) {
            // There is room: fewer wait than a stream holds.
            let _ = sender.try_send(message);
        }
        state.get = Some(sender);
        Some(receiver)
    }

    /// Puts a message on its stream. Never waits.
    pub(crate) fn deliver(&self, bytes: Bytes, about: About) -> Result<(), TooSlow> {
        let mut state = self.state();
        let slow = TooSlow { queued: STREAM };
        let bytes = match about {
            About::Answer(id) => {
                return match state.posts.remove(&id).map(|post| post.try_send(Delivery::Answer(bytes))) {
                    Some(Err(mpsc::error::TrySendError::Full(_))) => Err(slow),
                    // The client went away: its answer has nowhere to go.
                    Some(Ok(()) | Err(mpsc::error::TrySendError::Closed(_))) | None => Ok(()),
                };
            }
            About::During(id) => match state.posts.get(&id).map(|post| post.try_send(Delivery::Aside(bytes)))
            {
                // What came up during a request that is answered already has nowhere to go.
                Some(Ok(())) | None => return Ok(()),
                Some(Err(mpsc::error::TrySendError::Full(_))) => return Err(slow),
                Some(Err(mpsc::error::TrySendError::Closed(
                    Delivery::Aside(bytes) | Delivery::Answer(bytes),
                ))) => bytes,
            },
            About::Session => bytes,
        };
        let bytes = match state.get.as_ref().map(|get| get.try_send(bytes.clone())) {
            Some(Ok(())) => return Ok(()),
            Some(Err(mpsc::error::TrySendError::Full(_))) => return Err(slow),
            Some(Err(mpsc::error::TrySendError::Closed(bytes))) => bytes,
            None => bytes,
        };
        state.waiting_bytes += bytes.len();
        state.waiting.push_back(bytes);
        while state.waiting.len() > WAITING || state.waiting_bytes > WAITING_BYTES {
            let dropped = state.waiting.pop_front().map_or(0, |dropped| dropped.len());
            state.waiting_bytes -= dropped;
        }
        Ok(())
    }

    /// Notes that the client was here.
    pub(crate) fn touch(&self, now: Instant) {
        self.state().last_used = now;
    }

    /// Since when nothing has been heard and no stream has been open.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let mut state = self.state();
        state.posts.retain(|_, post| !post.is_closed());
        let open = !state.posts.is_empty() || state.get.as_ref().is_some_and(|get| !get.is_closed());
        (!open).then_some(state.last_used)
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        let mut state = self.state();
        state.posts.clear();
        state.get = None;
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}
