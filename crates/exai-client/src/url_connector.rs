//! Joining the daemon by URL: plain MCP over WebSocket on TCP, with the token.
//!
//! Any process can take a port, and the token opens everything. So the token is sent to one process only: the one
//! that `daemon.json` of this state directory identifies, that lives, and that the kernel confirms as the daemon of
//! that directory and as the owner of the listening socket. This is checked before connecting and again before the
//! token is sent. A daemon never gives up a port and takes it back, so a process that listens at both times also has
//! the connection.
//!
//! A daemon is started by the local connector.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use exai_config::Secret;
use exai_os::{lock, port, private, process};
use exai_proto::documents::DaemonRecord;

use crate::daemon_connector::DaemonConnector;
use crate::daemon_record::{process_lives, read_record, verified};
use crate::frame::Decoder;
use crate::handshake::{self, Request};
use crate::limits::{HELLO_TIMEOUT, MAX_TOKEN_BYTES};
use crate::link::{LinkError, LinkHalves, left};
use crate::retry_pause::RetryPause;
use crate::route_error::RouteError;
use crate::stream::Stream;
use crate::url::McpUrl;

/// The subprotocol of plain MCP.
const SUBPROTOCOL: &str = "mcp";

/// Joins the daemon of a state directory over TCP.
#[derive(Debug, Clone)]
pub struct UrlConnector {
    connector: DaemonConnector,
    url: McpUrl,
}

/// Why there was no link.
enum Failed {
    /// The daemon is not the one that listens there.
    NotTheDaemon,
    /// It cannot be found out which process listens there.
    Unknown(io::Error),
    Link(LinkError),
    Token(io::Error),
}

impl<E: Into<LinkError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Link(error.into())
    }
}

impl UrlConnector {
    /// A connector to the daemon of the local connector's state directory, by this URL.
    pub fn new(connector: DaemonConnector, url: McpUrl) -> Self {
        UrlConnector { connector, url }
    }

    pub(crate) fn connect_or_start(&self, deadline: Instant) -> Result<LinkHalves, RouteError> {
        let mut pause = RetryPause::new();
        loop {
            let error = match self.find_or_start(deadline)? {
                Some(record) => match self.open(&record, deadline) {
                    Ok(halves) => return Ok(halves),
                    Err(failed) => self.explain(failed, &record),
                },
                None => RouteError::Silent { addr: self.url.addr },
            };
            if !matches!(error, RouteError::Silent { .. }) || !pause.sleep(deadline) {
                return Err(error);
            }
        }
    }

    pub(crate) fn try_connect(&self) -> Option<LinkHalves> {
        let record = self.living()?;
        self.open(&record, Instant::now() + HELLO_TIMEOUT).ok()
    }

    /// The record of the living daemon of this state directory: its lock is held, so the record is no copy, and its
    /// process lives.
    fn living(&self) -> Option<DaemonRecord> {
        let record = read_record(self.connector.home()).filter(|record| process_lives(&record.identity))?;
        self.connector.daemon_lives().unwrap_or(false).then_some(record)
    }

    /// The record of the daemon, which is started where none lives. `None` when a daemon lives and its record says
    /// nothing yet.
    fn find_or_start(&self, deadline: Instant) -> Result<Option<DaemonRecord>, RouteError> {
        if let Some(record) = self.living() {
            return Ok(Some(record));
        }
        let link = self.connector.connect_or_start(deadline)?;
        let record =
            read_record(self.connector.home()).filter(|record| record.instance == link.daemon().instance);
        // The daemon will repair a record that names another process than the one that has just answered.
        let process = link.daemon().process.as_ref();
        let record = record.filter(|record| process.is_none_or(|it| *it == verified(&record.identity)));
        match record {
            // The daemon has just answered, so it lives: this process merely cannot see it.
            Some(record) if !process_lives(&record.identity) => {
                let source = io::Error::other("its process is not the one that its record names");
                Err(RouteError::Unproven { addr: self.url.addr, source })
            }
            record => Ok(record),
        }
    }

    fn open(&self, record: &DaemonRecord, deadline: Instant) -> Result<LinkHalves, Failed> {
        let deadline = deadline.min(Instant::now() + HELLO_TIMEOUT);
        self.verify(record)?;
        let stream = TcpStream::connect_timeout(&self.url.addr, left(deadline)?)?;
        // Small messages must not wait for each other.
        stream.set_nodelay(true)?;
        self.verify(record)?;
        let token = self.token().map_err(Failed::Token)?;
        let stream = Stream::Tcp(stream);
        stream.set_read_timeout(Some(left(deadline)?))?;
        let request = Request {
            path: &self.url.path,
            host: &self.url.addr.to_string(),
            subprotocol: SUBPROTOCOL,
            token: Some(&token),
        };
        let rest = handshake::upgrade(&stream, &request).map_err(LinkError::from)?;
        stream.set_read_timeout(None)?;
        Ok((Arc::new(stream), Decoder::with(&rest)))
    }

    /// Verifies that a connection to the URL's address reaches this very daemon.
    fn verify(&self, record: &DaemonRecord) -> Result<(), Failed> {
        if self.daemon().is_some_and(|pid| pid != record.identity.pid) {
            return Err(Failed::NotTheDaemon);
        }
        match port::is_listening(self.url.addr, record.identity.pid) {
            // In this order: the process is still the same afterwards, so its pid belonged to no other process
            // meanwhile.
            Ok(true) if process_lives(&record.identity) => Ok(()),
            Ok(_) => Err(Failed::NotTheDaemon),
            Err(error) => Err(Failed::Unknown(error)),
        }
    }

    /// The process of the daemon, as the kernel tells: the holder of the lock, or, where the system does not tell
    /// holders (anything but Linux), the peer of the local socket.
    fn daemon(&self) -> Option<u32> {
        let holder = lock::holder(&self.connector.home().instance_lock()).ok().flatten();
        holder.or_else(|| Some(self.connector.try_connect()?.daemon().process.as_ref()?.pid))
    }

    fn token(&self) -> io::Result<Secret> {
        let bytes = private::read(&self.connector.home().token(), MAX_TOKEN_BYTES)?;
        let text = bytes.trim_ascii();
        // The token becomes a line of a request.
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no token"));
        }
        Ok(Secret::new(String::from_utf8_lossy(text)))
    }

    /// The error to report. Slow, since it looks at all processes.
    fn explain(&self, failed: Failed, record: &DaemonRecord) -> RouteError {
        let addr = self.url.addr;
        match failed {
            Failed::Unknown(source) => RouteError::Unproven { addr, source },
            Failed::Link(source) => RouteError::Link { addr, source },
            Failed::Token(source) => RouteError::Token { path: self.connector.home().token(), source },
            Failed::NotTheDaemon => match port::owner(addr) {
                Ok(owner) => self.blame(owner, record),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let holder = "a process of another account".to_owned();
                    RouteError::Foreign { addr, holder, daemon: listens(record) }
                }
                Err(source) => RouteError::Unproven { addr, source },
            },
        }
    }

    fn blame(&self, owner: Option<u32>, record: &DaemonRecord) -> RouteError {
        let addr = self.url.addr;
        // The daemon of the record may have ended and made room for the next one meanwhile.
        let same = self.living().is_some_and(|now| now.identity == record.identity);
        match owner {
            Some(pid) if same && pid != record.identity.pid => {
                RouteError::Foreign { addr, holder: name(pid), daemon: listens(record) }
            }
            None if same => match addresses(record).next() {
                Some(first) if addresses(record).all(|listens| listens != addr) => {
                    RouteError::Elsewhere { addr, listens: first }
                }
                Some(_) | None => RouteError::Silent { addr },
            },
            Some(_) | None => RouteError::Silent { addr },
        }
    }
}

fn name(pid: u32) -> String {
    let all = process::snapshot().unwrap_or_default();
    match all.into_iter().find(|process| process.pid == pid) {
        Some(process) => format!("{} (pid {pid})", process.name),
        None => format!("pid {pid}"),
    }
}

/// Where the daemon listens, as words that follow its name.
fn listens(record: &DaemonRecord) -> String {
    addresses(record).next().map_or_else(String::new, |addr| format!(" (which listens on {addr})"))
}

fn addresses(record: &DaemonRecord) -> impl Iterator<Item = SocketAddr> + '_ {
    let tcp = record.listeners.iter().filter(|listener| listener.kind == "tcp");
    tcp.filter_map(|listener| listener.addr.parse().ok())
}

#[cfg(test)]
mod tests;
