//! Connections to one server that the daemon has started, and requests on them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect::{Failed, OwnTree, write_causes};
use crate::limits::{CONNECT_TIMEOUT, IDLE_CONNECTION_TIMEOUT, MAX_IDLE_CONNECTIONS, NEXT_REQUEST_TIMEOUT};

/// The connections to one server.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    tree: Arc<OwnTree>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// One connection. It closes when it is dropped.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The task that moves the bytes of the connection.
    _driver: JoinSet<()>,
}

/// A connection on which an answer is read.
#[derive(Debug)]
pub(super) struct Lent {
    connection: Connection,
    pool: Arc<ConnectionPool>,
}

impl Lent {
    /// Gives the connection back. The answer must have been read to its end.
    pub(super) fn give_back(self) {
        self.pool.keep(self.connection);
    }
}

impl ConnectionPool {
    pub(super) fn new(tree: Arc<OwnTree>) -> Arc<Self> {
        Arc::new(ConnectionPool { tree, idle: Mutex::default() })
    }

    /// Sends a request and waits for the head of its answer. A request that certainly was not read, on a connection that
    /// had been used before, is sent again on a new connection.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lent), Failed> {
        let mut request = request;
        if let Some(mut connection) = self.take_idle().await {
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lend(connection))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failed::Lost(write_causes(error.error()))),
                },
            }
        }
        let mut connection = self.connect().await?;
        match connection.sender.try_send_request(request).await {
            Ok(response) => Ok((response, self.lend(connection))),
            Err(mut error) => Err(match error.take_message() {
                Some(_) => Failed::Unsent(write_causes(error.error())),
                None => Failed::Lost(write_causes(error.error())),
            }),
        }
    }

    fn lend(self: &Arc<Self>, connection: Connection) -> Lent {
        Lent { connection, pool: self.clone() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the idle connection that was used last, if it still works.
    async fn take_idle(&self) -> Option<Connection> {
        self.tidy();
        let (mut connection, _) = self.idle().pop()?;
        let ready = timeout(NEXT_REQUEST_TIMEOUT, connection.sender.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(connection)
    }

    fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }

    /// Closes idle connections that are too old.
    pub(super) fn tidy(&self) {
        self.idle().retain(|(connection, since)| {
            since.elapsed() < IDLE_CONNECTION_TIMEOUT && !connection.sender.is_closed()
        });
    }

    async fn connect(&self) -> Result<Connection, Failed> {
        let stream = self.tree.connect().await?;
        let addr = stream.peer_addr();
        let unsent = |error: io::Error| {
            let addr = addr.as_ref().map_or_else(|_| "its URL".to_owned(), ToString::to_string);
            Failed::Unsent(format!("cannot be connected to at {addr}: {error}"))
        };
        let shake = timeout(CONNECT_TIMEOUT, http1::handshake(TokioIo::new(stream))).await;
        let (sender, connection) = match shake {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return Err(unsent(io::Error::other(error))),
            Err(_) => return Err(unsent(io::ErrorKind::TimedOut.into())),
        };
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // The code that waits for an answer gets the error.
            let _ = connection.await;
        });
        Ok(Connection { sender, _driver: driver })
    }
}
