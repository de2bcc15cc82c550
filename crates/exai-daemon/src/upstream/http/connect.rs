//! How a connection is made to a server that the daemon has started.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::port_check::{PortCheck, PortState};
use crate::limits::CONNECT_TIMEOUT;
use crate::upstream::conversation_event::SignInWanted;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing was sent.
    Unsent(String),
    /// The request may have arrived.
    Lost(String),
    /// Nothing was sent, because nothing may be: no process of the server's own tree listens.
    Forsaken(String),
    /// The server has refused the request until somebody signs in.
    SignedOut(SignInWanted),
}

/// Connects to a process of the server's own tree and to no other: any program may take a port.
#[derive(Debug)]
pub(super) struct OwnTree {
    check: Arc<PortCheck>,
    /// The last look at the port, and when it began.
    seen: tokio::sync::Mutex<Option<(Instant, PortState)>>,
}

impl OwnTree {
    pub(super) fn new(check: PortCheck) -> Self {
        OwnTree { check: Arc::new(check), seen: tokio::sync::Mutex::default() }
    }

    /// Where the server is to listen.
    pub(super) fn addrs(&self) -> &[SocketAddr] {
        self.check.addrs()
    }

    /// Checks which process listens now. Calls at the same time share one check that begins after all of them.
    pub(super) async fn check_port(&self) -> PortState {
        let asked = Instant::now();
        let mut last = self.seen.lock().await;
        if let Some((began, seen)) = &*last
            && *began >= asked
        {
            return seen.clone();
        }
        let began = Instant::now();
        let check = self.check.clone();
        let looked = tokio::task::spawn_blocking(move || check.check_port()).await;
        let seen = looked.unwrap_or_else(|panic| PortState::Stranger(format!("BUG: {panic}")));
        *last = Some((began, seen.clone()));
        seen
    }

    /// Whether a process of the server's own tree still listens. The error is why the server cannot be used any more.
    pub(super) async fn check(&self) -> Result<(), String> {
        match self.check_port().await {
            PortState::Own(_) => Ok(()),
            PortState::Nobody => Err(gone(self.addrs())),
            PortState::Stranger(who) => Err(taken(&who)),
        }
    }

    /// The address at which a process of the server's own tree listens.
    async fn own_addr(&self) -> Result<SocketAddr, Failed> {
        match self.check_port().await {
            PortState::Own(addr) => Ok(addr),
            PortState::Nobody => Err(Failed::Forsaken(gone(self.addrs()))),
            PortState::Stranger(who) => Err(Failed::Forsaken(taken(&who))),
        }
    }

    /// Connects, or says why nothing may be sent.
    pub(super) async fn connect(&self) -> Result<TcpStream, Failed> {
        let addr = self.own_addr().await?;
        let unsent = |error: io::Error| Failed::Unsent(format!("cannot be connected to at {addr}: {error}"));
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unsent)?;
        // The process that holds the port now also held it when the connection was made.
        if self.own_addr().await? != addr {
            return Err(Failed::Unsent(format!("has just changed its address from {addr}")));
        }
        stream.set_nodelay(true).map_err(unsent)?;
        Ok(stream)
    }
}

/// Reads after "the server".
fn gone(addrs: &[std::net::SocketAddr]) -> String {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    format!("does not listen on {} any more", addrs.join(" or "))
}

/// Reads after "the server".
fn taken(who: &str) -> String {
    format!("does not listen any more: {who}, which is no process of this server")
}

/// An error with all its causes.
pub(in crate::upstream) fn write_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
