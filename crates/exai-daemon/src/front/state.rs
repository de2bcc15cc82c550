//! What request handlers need, and the connection that a request came over.

use std::sync::Arc;

use axum::http::Extensions;
use exai_config::Home;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::http_sessions::Sessions;
use crate::client::input_budget::InputBudget;
use crate::client::message_checks::MessageChecks;
use crate::client::session_process::Caller;
use crate::core::event::HubHandle;
use crate::front::access::{PeerOrigin, Visitor};
use crate::front::arrival::Arrival;
use crate::state::admission::Admission;
use crate::state::daemon_info::DaemonInfo;
use crate::state::holder::Holder;
use crate::upstream::sign_ins::SignIns;

/// What request handlers need.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) hub: HubHandle,
    pub(crate) about: Arc<DaemonInfo>,
    pub(crate) home: Home,
    pub(crate) admission: Admission,
    pub(crate) sessions: Sessions,
    /// The budget for unfinished input.
    pub(crate) input_budget: InputBudget,
    /// Checks long messages on another thread.
    pub(crate) message_checks: MessageChecks,
    pub(crate) sign_ins: SignIns,
    pub(crate) tasks: TaskTracker,
    /// The WebSocket connections: each of them closes properly when the daemon ends.
    pub(crate) sockets: TaskTracker,
}

/// The permit of one connection. An upgraded connection keeps it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPermit {
    pub(crate) _permit: Arc<OwnedSemaphorePermit>,
}

/// Breaks a connection off.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect(pub(crate) CancellationToken);

impl Disconnect {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Disconnect(CancellationToken::new()))
    }
}

/// The connection that a request came over.
#[derive(Debug)]
pub(crate) struct RequestConnection {
    pub(crate) disconnect: Disconnect,
    /// The peer of the connection. `None` on the local socket, and through a proxy, whose process is not that of a client.
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) holder: Holder,
}

impl RequestConnection {
    /// `None` for a request that had to show no token.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        let Visitor { holder, arrival } = extensions.get::<Visitor>()?.clone();
        let caller = match (extensions.get(), arrival) {
            (Some(PeerOrigin::Tcp(caller)), Arrival::Here) => Some(caller.clone()),
            (Some(PeerOrigin::Tcp(_) | PeerOrigin::Local(_)) | None, _) => None,
        };
        Some(RequestConnection { disconnect: Disconnect::of(extensions), caller, holder })
    }
}
