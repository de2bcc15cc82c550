//! Connections to one server, and requests on them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect::{Connect, Failed};
use crate::limits::{CONNECT_TIMEOUT, IDLE_CONNECTION_TIMEOUT, MAX_IDLE_CONNECTIONS, NEXT_REQUEST_TIMEOUT};

/// The connections to one server.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    connector: Arc<dyn Connect>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// One connection. It closes when it is dropped.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The task that moves the bytes of the connection.
    _driver: JoinSet<()>,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    body: Incoming,
    connection: Connection,
    wire: Arc<ConnectionPool>,
}

/// An answer that broke off after its head. The server has read the request. This is a type of its own, and never becomes a
/// [`Failed`], so that no later failure can be taken for "not sent".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokenOff(pub(super) String);

impl ConnectionPool {
    pub(super) fn new(connector: Arc<dyn Connect>) -> Arc<Self> {
        Arc::new(ConnectionPool { connector, idle: Mutex::default() })
    }

    /// Sends a request and waits for the head of its answer. A request that certainly was not read, on a connection that
    /// had been used before, is sent again on a new connection.
    pub(super) async fn send(self: &Arc<Self>, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let mut request = request;
        if let Some(mut connection) = self.take_idle().await {
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failed::Lost(lost(error.error()))),
                },
            }
        }
        let mut connection = self.connect().await?;
        match connection.sender.try_send_request(request).await {
            Ok(response) => Ok(self.answer(response, connection)),
            Err(mut error) => Err(match error.take_message() {
                Some(_) => Failed::Unsent(lost(error.error())),
                None => Failed::Lost(lost(error.error())),
            }),
        }
    }

    fn answer(self: &Arc<Self>, response: Response<Incoming>, connection: Connection) -> Answer {
        let (parts, body) = response.into_parts();
        Answer { head: Response::from_parts(parts, ()), body, connection, wire: self.clone() }
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
        let stream = self.connector.connect().await?;
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

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            let body = &mut self.body;
            let frame =
                std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Ok(None),
                Some(Ok(Ok(data))) => return Ok(Some(data)),
                // Trailers.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => return Err(BrokenOff(lost(&error))),
            }
        }
    }

    /// At most `limit` bytes of the body, and whether there is more.
    pub(super) async fn all(&mut self, limit: usize) -> Result<(Vec<u8>, bool), BrokenOff> {
        let mut all = Vec::new();
        while let Some(data) = self.next().await? {
            let room = limit - all.len();
            all.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((all, true));
            }
        }
        Ok((all, false))
    }

    /// Gives the connection back to the pool. The body must have been read to its end.
    pub(super) fn done(self) {
        let Answer { connection, wire, .. } = self;
        if !connection.sender.is_closed() {
            wire.keep(connection);
        }
    }
}

fn lost(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
