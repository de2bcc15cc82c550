//! A server that opens its own port: waited for, spoken to over Streamable HTTP, and watched.
//!
//! # Theory of operation
//!
//! The hub sees an instance like any other: it pushes messages with [`Upstream::send`] and hears
//! [`Event`]s. One task per instance does the rest:
//!
//! 1. `lookout` tells who listens at the URL's address. Nothing is sent before a process of the server's
//!    own tree does, and nothing after none does any more: a stranger on that port is named, never spoken to.
//! 2. `wire` makes connections, each after such a look and with another before anything is sent on it.
//! 3. `talk` sends requests side by side and everything else in order; `exchange` reads their answers,
//!    documents or streams (`events`); `session` is what all of them have in common.
//! 4. When the session is lost, or the port, the instance has failed: the hub stops its processes, and the
//!    next request starts another.

mod events;
mod exchange;
mod lookout;
mod place;
mod session;
mod talk;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Secret;
use exai_mux::InstanceId;
use exai_os::clock;
use exai_proto::Segments;
use exai_supervisor::Line;
use exai_supervisor::outbox::{Bound, Drain, Outbox, Unsent, outbox};
use hyper::header::HeaderMap;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::core::hub::HubHandle;
use crate::limits::{PORT_FREE_TIMEOUT, SESSION_END_TIMEOUT};
use crate::observe::process_monitor::Watch;
use crate::upstream::server_output::Garbled;
use exai_supervisor::turns::Turn;
use lookout::{Listens, Lookout};
use place::Place;
use session::Session;
use wire::Wire;

/// How often it is looked whether the server listens already; less often once it has taken long.
const STEP: Duration = Duration::from_millis(20);
const LONG_STEP: Duration = Duration::from_millis(100);
/// How often it is looked whether it still does.
const PERIOD: Duration = Duration::from_secs(1);

/// What the hub hears of such a server.
#[derive(Debug)]
pub(crate) enum Event {
    /// One of its own processes listens: it can be spoken to.
    Up,
    /// It said something. More is taken from it once its turn was dropped.
    Said(Line, Turn),
    /// It said what is no message.
    Garbled(Garbled, Turn),
    /// It is of no use any more; the reason reads after "the server". No other event follows.
    Failed(String),
    /// After [`Upstream::close`]: the session has ended. No other event follows.
    Closed,
}

/// How a server is reached.
#[derive(Debug)]
pub(crate) struct Reached {
    place: Place,
    headers: HeaderMap,
    start_timeout: Duration,
}

/// The handle of a server that is reached by URL. Dropping it ends the session without a word.
#[derive(Debug)]
pub(crate) struct Upstream {
    requests: Outbox,
    others: Outbox,
    closing: watch::Sender<bool>,
    waits_for: WaitsFor,
}

/// What the server is waited for to do, in words; `None` once it has done it.
type WaitsFor = Arc<Mutex<Option<String>>>;

impl Reached {
    /// Checks a URL and the headers. The error reads after "the server".
    pub(crate) fn at(
        url: &str,
        headers: &[(String, Secret)],
        start_timeout: Duration,
    ) -> Result<Self, String> {
        let place = Place::parse(url)?;
        let headers = session::headers(headers, &place)?;
        Ok(Reached { place, headers, start_timeout })
    }

    /// Where the server is to listen; the first of the possible addresses.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.place.addrs[0]
    }

    /// Looks whether the port is free, and waits a moment if it is not. Blocks. The error reads after "the
    /// server".
    pub(crate) fn make_room(&self) -> Result<(), String> {
        let end = clock::now() + PORT_FREE_TIMEOUT.min(self.start_timeout);
        while let Some(who) = lookout::holder(&self.place.addrs) {
            if clock::now() >= end {
                return Err(format!("was not started: {who}, which is no process of this server"));
            }
            std::thread::sleep(LONG_STEP);
        }
        Ok(())
    }

    /// Begins to wait for the server, and speaks to it once it listens.
    pub(crate) fn start(
        self,
        (server, instance): (Arc<str>, InstanceId),
        watch: Watch,
        hub: HubHandle,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> Upstream {
        watch.listens(instance, self.addr());
        let (requests, request_drain) = outbox(limit);
        let (others, other_drain) = outbox(limit);
        let (closing, closed) = watch::channel(false);
        let lookout = Lookout::new(watch.clone(), instance, self.place.addrs.clone());
        let waits_for: WaitsFor = Arc::new(Mutex::new(Some(self.wish())));
        let (session, broken) = Session::new(
            Wire::new(lookout),
            self.place.clone(),
            self.headers.clone(),
            (server, instance),
            hub,
        );
        let conversation = Conversation {
            session,
            broken,
            watch,
            instance,
            waits_for: waits_for.clone(),
            deadline: clock::now() + self.start_timeout,
        };
        tasks.spawn(conversation.run((request_drain, other_drain), closed));
        Upstream { requests, others, closing, waits_for }
    }

    fn wish(&self) -> String {
        let addrs: Vec<String> = self.place.addrs.iter().map(ToString::to_string).collect();
        format!("does not listen on {}", addrs.join(" or "))
    }
}

impl Upstream {
    /// Queues a message; a request has a number.
    pub(crate) fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        if number.is_some() { self.requests.push(message) } else { self.others.push(message) }
    }

    /// Ends the session; [`Event::Closed`] says when that is done, within half a second.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// While the server does not listen yet: that, in words that read after "the server".
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the task of an instance works with.
struct Conversation {
    session: Arc<Session>,
    broken: mpsc::Receiver<String>,
    watch: Watch,
    instance: InstanceId,
    waits_for: WaitsFor,
    deadline: Instant,
}

impl Conversation {
    async fn run(mut self, drains: (Drain, Drain), mut closing: watch::Receiver<bool>) {
        let session = self.session.clone();
        let event = tokio::select! {
            reason = self.serve(drains) => Event::Failed(reason),
            asked = async { closing.wait_for(|closing| *closing).await.is_ok() } => {
                // A handle that was dropped wants no words.
                if !asked {
                    return;
                }
                let _ = timeout(SESSION_END_TIMEOUT, session.delete()).await;
                Event::Closed
            }
        };
        session.tell(event).await;
    }

    /// Serves until the server is of no use any more; returns why.
    async fn serve(&mut self, (requests, others): (Drain, Drain)) -> String {
        if let Err(reason) = self.until_it_listens().await {
            return reason;
        }
        self.session.tell(Event::Up).await;
        let known = Arc::new(talk::Requests::default());
        let (settle, settled) = watch::channel(false);
        let requests = talk::requests(self.session.clone(), requests, known.clone(), settled);
        let others = talk::others(self.session.clone(), others, known, settle);
        tokio::select! {
            () = requests => "is not spoken to any more".to_owned(),
            () = others => "is not spoken to any more".to_owned(),
            () = watch_it(&self.session) => "is not watched any more".to_owned(),
            Some(reason) = self.broken.recv() => reason,
        }
    }

    async fn until_it_listens(&self) -> Result<(), String> {
        let begun = clock::now();
        loop {
            match self.session.wire.look().await {
                Listens::Own(addr) => {
                    self.watch.listens(self.instance, addr);
                    *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(());
                }
                Listens::Stranger(who) => {
                    return Err(format!("is not ready: {who}, which is no process of this server"));
                }
                Listens::Nobody => {}
            }
            if clock::now() >= self.deadline {
                let limit = self.deadline.duration_since(begun).as_secs();
                let wish = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return Err(format!("{} after {limit} s", wish.unwrap_or_default()));
            }
            sleep(if clock::now() < begun + PERIOD * 2 { STEP } else { LONG_STEP }).await;
        }
    }
}

/// Looks now and then who listens. Never comes back: a server that is lost is given up.
async fn watch_it(session: &Session) {
    loop {
        sleep(PERIOD).await;
        exchange::check(session).await;
        session.wire.tidy();
    }
}
