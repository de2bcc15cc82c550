//! What every request may need, and the connection that it came over.

use std::sync::Arc;

use axum::http::Extensions;
use exai_config::Home;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::http_sessions::Sessions;
use crate::client::input_budget::InputBudget;
use crate::client::message_checks::MessageChecks;
use crate::client::session_usage::Caller;
use crate::core::event::HubHandle;
use crate::front::access::PeerOrigin;
use crate::state::daemon_info::DaemonInfo;
use crate::state::token::Token;

/// What the rooms need.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) hub: HubHandle,
    pub(crate) about: Arc<DaemonInfo>,
    pub(crate) home: Home,
    pub(crate) token: Token,
    pub(crate) sessions: Sessions,
    /// What clients have begun to say.
    pub(crate) intake: InputBudget,
    /// Where long messages are checked.
    pub(crate) checks: MessageChecks,
    pub(crate) tasks: TaskTracker,
    /// The WebSockets: they say goodbye when the daemon ends.
    pub(crate) sockets: TaskTracker,
}

/// One of the places for connections. An upgraded connection keeps its place.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPermit {
    pub(crate) _permit: Arc<OwnedSemaphorePermit>,
}

/// Breaks a connection off.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect(pub(crate) CancellationToken);

/// The connection that a request came over.
#[derive(Debug)]
pub(crate) struct RequestConnection {
    pub(crate) hang_up: Disconnect,
    /// Who is at its other end; `None` on the local socket.
    pub(crate) caller: Option<Arc<Caller>>,
}

impl RequestConnection {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let hang_up = extensions.get().cloned().unwrap_or_else(|| Disconnect(CancellationToken::new()));
        let caller = match extensions.get() {
            Some(PeerOrigin::Tcp(caller)) => Some(caller.clone()),
            Some(PeerOrigin::Local(_)) | None => None,
        };
        RequestConnection { hang_up, caller }
    }
}
