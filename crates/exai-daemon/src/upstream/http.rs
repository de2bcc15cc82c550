//! A server that opens its own port: the daemon waits until it listens, speaks Streamable HTTP with it, and watches the
//! port.
//!
//! # Theory of operation
//!
//! The hub sees an instance like any other: it pushes messages with [`HttpUpstream::send`] and hears
//! [`Event`]s. One task per instance does the rest:
//!
//! 1. `port_check` tells which process listens at the URL's address. Nothing is sent unless it is a process of the server's
//!    own tree: a stranger on that port is named and never spoken to.
//! 2. `connect` makes connections, with such a check before and after; `connection_pool` keeps them for the next request.
//! 3. `send_order` sends requests side by side and everything else in order; `exchange` reads their answers, documents or
//!    streams (`event_stream`); `session` is what all of them share.
//! 4. When the session or the port is lost, the instance has failed: the hub stops its processes, and the next request
//!    starts another instance.

mod connect;
mod connection_pool;
mod credentials;
pub(crate) mod event;
mod event_stream;
mod exchange;
mod port_check;
mod send_order;
mod server_url;
mod session;
pub(crate) mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_mux::InstanceId;
use exai_os::clock;
use exai_proto::Segments;
use exai_supervisor::outbox::{Bound, Drain, Outbox, Unsent, outbox};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::limits::SESSION_END_TIMEOUT;
use crate::observe::process_monitor::ProcessMonitor;
use crate::upstream::event::ServerEvent;
use connect::OwnTree;
use event::Event;
use port_check::{PortCheck, PortState};
use session::ServerSession;
use target::HttpTarget;

/// How often the port is checked until the server listens; less often once that has taken long.
const STEP: Duration = Duration::from_millis(20);
const LONG_STEP: Duration = Duration::from_millis(100);
/// How often the port is checked after that.
const PERIOD: Duration = Duration::from_secs(1);

/// A handle of the session with a server with a URL. Dropping the handle ends the session without a DELETE.
#[derive(Debug)]
pub(crate) struct HttpUpstream {
    requests: Outbox,
    others: Outbox,
    closing: watch::Sender<bool>,
    waits_for: WaitsFor,
}

/// What the daemon waits for the server to do, in words; `None` once the server has done it.
type WaitsFor = Arc<Mutex<Option<String>>>;

impl HttpUpstream {
    /// Begins to wait for the server, and speaks to it as soon as it listens.
    pub(crate) fn start(
        target: HttpTarget,
        (server, instance): (Arc<str>, InstanceId),
        monitor: ProcessMonitor,
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> HttpUpstream {
        monitor.set_address(instance, target.addr());
        let (requests, request_drain) = outbox(limit);
        let (others, other_drain) = outbox(limit);
        let (closing, closed) = watch::channel(false);
        let tree = OwnTree::new(PortCheck::new(monitor.clone(), instance, target.place.addrs.clone()));
        let waits_for: WaitsFor = Arc::new(Mutex::new(Some(target.wish())));
        let (session, broken) = ServerSession::new(
            Arc::new(tree),
            target.place.clone(),
            target.credentials.clone(),
            (server, instance),
            events,
        );
        let conversation = Conversation {
            session,
            broken,
            monitor,
            instance,
            waits_for: waits_for.clone(),
            deadline: clock::now() + target.start_timeout,
        };
        tasks.spawn(conversation.run((request_drain, other_drain), closed));
        HttpUpstream { requests, others, closing, waits_for }
    }

    /// Queues a message. A request has a number.
    pub(crate) fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        if number.is_some() { self.requests.push(message) } else { self.others.push(message) }
    }

    /// Ends the session. [`Event::Closed`] says when that is done, within half a second.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// What the daemon waits for while the server does not listen yet, in words that read after "the server".
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The state of an instance's task.
struct Conversation {
    session: Arc<ServerSession>,
    broken: mpsc::Receiver<String>,
    monitor: ProcessMonitor,
    instance: InstanceId,
    waits_for: WaitsFor,
    deadline: Instant,
}

impl Conversation {
    async fn run(mut self, drains: (Drain, Drain), mut closing: watch::Receiver<bool>) {
        let session = self.session.clone();
        let event = tokio::select! {
            reason = self.send_messages(drains) => Event::Failed(reason),
            asked = async { closing.wait_for(|closing| *closing).await.is_ok() } => {
                // The handle was dropped: the session ends without a DELETE.
                if !asked {
                    return;
                }
                let _ = timeout(SESSION_END_TIMEOUT, session.delete()).await;
                Event::Closed
            }
        };
        session.report(event).await;
    }

    /// Serves until the server cannot be used any more. Returns why.
    async fn send_messages(&mut self, (requests, others): (Drain, Drain)) -> String {
        if let Err(reason) = self.wait_until_listening().await {
            return reason;
        }
        self.session.report(Event::Up).await;
        let known = Arc::new(send_order::Requests::default());
        let (settle, settled) = watch::channel(false);
        let requests = send_order::requests(self.session.clone(), requests, known.clone(), settled);
        let others = send_order::others(self.session.clone(), others, known, settle);
        tokio::select! {
            () = requests => "is not spoken to any more".to_owned(),
            () = others => "is not spoken to any more".to_owned(),
            () = watch_server(&self.session) => "is not watched any more".to_owned(),
            Some(reason) = self.broken.recv() => reason,
        }
    }

    async fn wait_until_listening(&self) -> Result<(), String> {
        let begun = clock::now();
        loop {
            match self.session.tree.check_port().await {
                PortState::Own(addr) => {
                    self.monitor.set_address(self.instance, addr);
                    *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(());
                }
                PortState::Stranger(who) => {
                    return Err(format!("is not ready: {who}, which is no process of this server"));
                }
                PortState::Nobody => {}
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

/// Checks the port from time to time. Never returns: a lost server is given up through the session.
async fn watch_server(session: &ServerSession) {
    loop {
        sleep(PERIOD).await;
        exchange::check(session).await;
        session.pool.tidy();
    }
}
