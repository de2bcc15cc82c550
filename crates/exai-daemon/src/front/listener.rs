//! The sockets: they are bound, connections are accepted, and each connection is served until it ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use exai_os::descriptors;
use exai_os::local::Listener;
use exai_os::port::{self, Connection};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::client::session_process::Caller;
use crate::front::access::PeerOrigin;
use crate::front::http_client::ConnectionClients;
use crate::front::routes;
use crate::front::state::{AppState, ConnectionPermit, Disconnect};
use crate::front::unauthenticated::UnauthenticatedLimit;
use crate::limits::{
    LAST_ANSWER_TIMEOUT, MAX_CONNECTIONS, REQUEST_HEAD_TIMEOUT, RESERVED_DESCRIPTORS, TCP_BACKLOG,
};
use crate::observe::port_owner::PortOwner;
use crate::state::daemon_info::{DaemonInfo, Tcp};

/// How often the daemon tries to bind a port that another program holds.
const BIND_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The sockets of the daemon.
pub(crate) struct Listeners {
    pub(crate) state: AppState,
    pub(crate) closing: CancellationToken,
    /// Ends the accepting on the current local socket.
    local: Mutex<CancellationToken>,
}

/// The permits for connections of one kind.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPermits {
    all: Arc<Semaphore>,
    unauthenticated: UnauthenticatedLimit,
}

impl Listeners {
    pub(crate) fn new(state: AppState, closing: CancellationToken) -> Self {
        let local = Mutex::new(closing.child_token());
        Listeners { state, closing, local }
    }

    /// Serves the local socket until the daemon closes its sockets or another local socket replaces this one. Must be
    /// called within a tokio runtime.
    pub(crate) fn open_local(&self, mut listener: Listener) {
        let (app, closing, permits) =
            (routes::app(&self.state), self.closing.clone(), permits(MAX_CONNECTIONS));
        let tasks = self.state.tasks.clone();
        let until = closing.child_token();
        let before =
            std::mem::replace(&mut *self.local.lock().unwrap_or_else(PoisonError::into_inner), until.clone());
        before.cancel();
        self.state.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = until.cancelled() => return,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        spawn_connection(
                            stream,
                            PeerOrigin::Local(peer),
                            app.clone(),
                            permits.clone(),
                            closing.clone(),
                            &tasks,
                        );
                    }
                    Err(error) => wait_after_accept_error(&error).await,
                }
            }
        });
    }

    /// Serves a TCP address until the daemon closes its sockets. Tries again while another program holds the address.
    pub(crate) fn open_tcp(
        &self,
        addr: SocketAddr,
        bound: io::Result<TcpListener>,
        permits: &ConnectionPermits,
    ) {
        let (app, closing, permits) = (routes::app(&self.state), self.closing.clone(), permits.clone());
        let state = self.state.clone();
        self.state.tasks.spawn(async move {
            let mut bound = bound;
            let late = bound.is_err();
            if let Err(error) = &bound {
                complain(&state.tasks, addr, error.to_string());
            }
            let listener = loop {
                log_binding(&state.about, addr, &bound);
                if let Ok(listener) = bound {
                    break listener;
                }
                tokio::select! {
                    () = tokio::time::sleep(BIND_RETRY_INTERVAL) => bound = port::listen(addr, TCP_BACKLOG),
                    () = closing.cancelled() => return,
                }
            };
            let Ok(local) = listener.local_addr() else { return };
            tracing::info!(addr = %local, "listening");
            if late && let Err(error) = crate::state::record::write_record(&state.home, &state.about) {
                tracing::warn!(%error, "daemon.json could not be renewed");
            }
            let reserve = descriptors::most().map_or(0, |most| RESERVED_DESCRIPTORS.min(most / 4));
            let mut is_short = false;
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = closing.cancelled() => return,
                };
                match accepted {
                    // TCP connections cost their owner nothing, and must not cost this account the local socket.
                    Ok((stream, _)) if descriptors::are_scarce(&stream, reserve) => {
                        drop(stream);
                        permits.unauthenticated.break_oldest();
                        if !std::mem::replace(&mut is_short, true) {
                            tracing::warn!(
                                limit = descriptors::most(),
                                "few descriptors are left, so TCP connections are refused; `exai doctor` says more"
                            );
                        }
                    }
                    Ok((stream, there)) => {
                        is_short = false;
                        // Without this, small messages wait for each other: 40 ms a call.
                        let _ = stream.set_nodelay(true);
                        let from = PeerOrigin::Tcp(Arc::new(Caller::new(Connection { here: local, there })));
                        spawn_connection(stream, from, app.clone(), permits.clone(), closing.clone(), &state.tasks);
                    }
                    Err(error) => wait_after_accept_error(&error).await,
                }
            }
        });
    }
}

/// Permits for `most` connections.
pub(crate) fn permits(most: usize) -> ConnectionPermits {
    ConnectionPermits {
        all: Arc::new(Semaphore::new(most)),
        unauthenticated: UnauthenticatedLimit::new(most / 2),
    }
}

/// Records whether a TCP address is bound.
pub(crate) fn log_binding(about: &DaemonInfo, addr: SocketAddr, bound: &io::Result<TcpListener>) {
    let tcp = match bound {
        Ok(listener) => Tcp::Open(listener.local_addr().unwrap_or(addr)),
        Err(error) => Tcp::Missing { addr, reason: error.to_string() },
    };
    let mut all = about.tcp.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match all.iter_mut().find(|known| known.addr().ip() == addr.ip()) {
        Some(known) => *known = tcp,
        None => all.push(tcp),
    }
}

/// Logs once which process holds the address, on another thread: the search takes its time.
fn complain(tasks: &TaskTracker, addr: SocketAddr, error: String) {
    tasks.spawn_blocking(move || {
        let holder = PortOwner::of(addr);
        tracing::warn!(%addr, error, %holder, "cannot listen; it is tried again every 2 s");
    });
}

/// Waits after a failed accept, which mostly means too many open files. To try again at once would only burn time.
async fn wait_after_accept_error(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Binds the loopback addresses, IPv4 first. With port 0 the second address gets the port that the first was given.
pub(crate) fn bind_loopback(port: u16) -> Vec<(SocketAddr, io::Result<TcpListener>)> {
    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let first = port::listen(v4, TCP_BACKLOG);
    let given =
        first.as_ref().ok().and_then(|bound| bound.local_addr().ok()).map_or(port, |addr| addr.port());
    let mut bound = vec![(v4, first)];
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), given);
    let second = port::listen(v6, TCP_BACKLOG);
    // A machine without IPv6 lacks nothing. A machine where another program has the port does.
    let absent = second.as_ref().is_err_and(|error| {
        !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
    });
    if !absent && given != 0 {
        bound.push((v6, second));
    }
    bound
}

/// Serves one connection.
fn spawn_connection<S>(
    stream: S,
    from: PeerOrigin,
    app: Router,
    permits: ConnectionPermits,
    closing: CancellationToken,
    tasks: &TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ok(permit) = permits.all.try_acquire_owned() else {
        tracing::warn!("a connection was refused: all places are taken");
        return;
    };
    let permit = ConnectionPermit { _permit: Arc::new(permit) };
    let disconnect = Disconnect(closing.child_token());
    let unauthenticated = permits.unauthenticated.add_connection(disconnect.0.clone());
    let clients = ConnectionClients::default();
    tasks.spawn(async move {
        let ended = disconnect.0.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(from.clone());
            request.extensions_mut().insert(permit.clone());
            request.extensions_mut().insert(disconnect.clone());
            request.extensions_mut().insert(unauthenticated.clone());
            request.extensions_mut().insert(clients.clone());
            app.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_TIMEOUT)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        tokio::select! {
            // A peer that breaks off is no event.
            _ = &mut connection => return,
            () = ended.cancelled() => {}
        }
        if closing.is_cancelled() {
            // Requests under way are answered, and no more are read.
            connection.as_mut().graceful_shutdown();
            let _ = timeout(LAST_ANSWER_TIMEOUT, connection).await;
        }
    });
}
