//! A server with a URL: the daemon speaks Streamable HTTP with it.
//!
//! # Theory of operation
//!
//! The hub sees an instance like any other: it pushes messages with [`HttpUpstream::send`] and hears
//! [`ConversationEvent`]s. One task per instance does the rest:
//!
//! 1. `client` sends requests. To a server elsewhere they go on connections that all such servers share (`remote_client`).
//!    A server that the daemon has started has connections of its own (`connection_pool`), and is watched: `port_check` tells
//!    which process listens at the URL's address, and `connect` checks before and after each connection. Nothing is sent
//!    unless it is a process of the server's own tree: a stranger on that port is named and never spoken to.
//! 2. `outgoing` reads which era a request is of. In the legacy era the requests belong to a session; in the modern one each
//!    stands for itself, and repeats some of its body in headers.
//! 3. `send_order` sends requests side by side and everything else in order; `exchange` reads their answers, documents or
//!    streams (`answer_stream`, `event_stream`); `session` is what all of them share.
//! 4. `sse_transport` is the older HTTP+SSE transport, for servers elsewhere that refuse `initialize` otherwise: messages are
//!    posted to an `endpoint` that the server names, and all answers come on one event stream. `sse_servers` remembers which
//!    servers speak it, `unanswered` which requests may still be answered on the stream.
//! 5. When the session or the port is lost, the instance has failed: the hub stops its processes, and the next request
//!    starts another instance.

mod answer;
mod answer_stream;
mod client;
mod connect;
mod connection_pool;
mod credentials;
mod endpoint;
mod event_stream;
mod exchange;
mod explanation;
mod known_tools;
mod open_stream;
mod outgoing;
mod port_check;
pub(crate) mod remote_client;
mod repetition;
mod send_order;
mod server_url;
mod session;
mod sse_servers;
mod sse_transport;
pub(in crate::upstream) mod startup;
pub(crate) mod target;
mod unanswered;

use std::sync::Arc;
use std::time::Duration;

use exai_mux::InstanceId;
use exai_proto::Segments;
use exai_supervisor::outbox::{Bound, Drain, Outbox, Unsent, outbox};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::limits::SESSION_END_TIMEOUT;
use crate::observe::process_monitor::ProcessMonitor;
use crate::upstream::conversation_event::ConversationEvent;
use crate::upstream::event::ServerEvent;
use client::HttpClient;
pub(in crate::upstream) use connect::write_causes;
pub(in crate::upstream) use explanation::{REDIRECTS_AWAY, ask_for_sign_in, explanation};
use remote_client::RemoteClient;
use session::{ServerSession, SessionEnds};
use startup::{Startup, Wish};
use target::{HttpTarget, OwnTarget};

/// How often the port of a server that listens is checked.
const PERIOD: Duration = Duration::from_secs(1);

/// A handle of the session with a server with a URL. Dropping the handle ends the session without a DELETE.
#[derive(Debug)]
pub(crate) struct HttpUpstream {
    requests: Outbox,
    others: Outbox,
    closing: watch::Sender<bool>,
    /// Of a server that the daemon has started.
    wish: Option<Wish>,
}

impl HttpUpstream {
    /// Begins a conversation with a server that runs elsewhere.
    pub(crate) fn start(
        target: &HttpTarget,
        client: RemoteClient,
        whose: (Arc<str>, InstanceId),
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> HttpUpstream {
        HttpUpstream::converse(target, HttpClient::Remote(client), None, whose, events, limit, tasks)
    }

    /// Begins to wait for a server that the daemon has started, and speaks to it as soon as it listens.
    pub(crate) fn start_own(
        target: &OwnTarget,
        whose: (Arc<str>, InstanceId),
        monitor: ProcessMonitor,
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> HttpUpstream {
        let startup = Startup::begin(target, whose.1, monitor);
        let client = HttpClient::own(startup.tree.clone());
        HttpUpstream::converse(&target.http, client, Some(startup), whose, events, limit, tasks)
    }

    fn converse(
        target: &HttpTarget,
        client: HttpClient,
        startup: Option<Startup>,
        whose: (Arc<str>, InstanceId),
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> HttpUpstream {
        let (requests, request_drain) = outbox(limit);
        let (others, other_drain) = outbox(limit);
        let (closing, closed) = watch::channel(false);
        let wish = startup.as_ref().map(Startup::wish);
        let (session, ends) =
            ServerSession::new(client, target.place.clone(), target.credentials.clone(), whose, events);
        let conversation = Conversation { session, ends, startup };
        tasks.spawn(conversation.run((request_drain, other_drain), closed));
        HttpUpstream { requests, others, closing, wish }
    }

    /// Queues a message. A request has a number.
    pub(crate) fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        if number.is_some() { self.requests.push(message) } else { self.others.push(message) }
    }

    /// Ends the session. [`ConversationEvent::Closed`] says when that is done, within half a second.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// What the daemon waits for while the server does not listen yet, in words that read after "the server".
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.wish.as_ref()?.get()
    }
}

/// The state of an instance's task.
struct Conversation {
    session: Arc<ServerSession>,
    ends: SessionEnds,
    /// For a server that the daemon has started.
    startup: Option<Startup>,
}

impl Conversation {
    async fn run(mut self, drains: (Drain, Drain), mut closing: watch::Receiver<bool>) {
        let session = self.session.clone();
        let event = tokio::select! {
            event = self.send_messages(drains) => event,
            asked = async { closing.wait_for(|closing| *closing).await.is_ok() } => {
                // The handle was dropped: the session ends without a DELETE.
                if !asked {
                    return;
                }
                let _ = timeout(SESSION_END_TIMEOUT, session.delete()).await;
                ConversationEvent::Closed
            }
        };
        session.report(event).await;
    }

    /// Serves until the server cannot be used any more. Returns why.
    async fn send_messages(&mut self, (requests, others): (Drain, Drain)) -> ConversationEvent {
        let failed = |reason: &str| ConversationEvent::Failed(reason.to_owned());
        if let Some(startup) = &self.startup
            && let Err(reason) = startup.wait_until_listening().await
        {
            return ConversationEvent::Failed(reason);
        }
        self.session.report(ConversationEvent::Up).await;
        let known = Arc::new(send_order::Requests::default());
        let (settle, settled) = watch::channel(false);
        let requests = send_order::requests(self.session.clone(), requests, known.clone(), settled);
        let others = send_order::others(self.session.clone(), others, known, settle);
        tokio::select! {
            () = requests => failed("is not spoken to any more"),
            () = others => failed("is not spoken to any more"),
            () = watch_server(&self.session), if self.startup.is_some() => failed("is not watched any more"),
            Some(event) = self.ends.broken.recv() => event,
            reason = sse_transport::pass_stream_on(&self.session, &mut self.ends.streams) => failed(&reason),
        }
    }
}

/// Checks the port from time to time. Never returns: a lost server is given up through the session.
async fn watch_server(session: &ServerSession) {
    loop {
        sleep(PERIOD).await;
        exchange::check(session).await;
        session.client.tidy();
    }
}
