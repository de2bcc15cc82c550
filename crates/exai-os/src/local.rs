//! The private local socket between a shim and the daemon: a Unix socket or a named pipe.
//!
//! Both sides learn from the kernel who the other is. The shim's side is blocking and plain, since its
//! whole work is two loops; the daemon's side is tokio's.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::sys;

/// Where a daemon listens. Its text form ([`fmt::Display`], [`FromStr`]) is the path of the socket or
/// of the pipe, and goes into the daemon's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub(crate) sys::local::Name);

impl Endpoint {
    /// A name that no other daemon has used: `nonce` is random, and made of letters, digits and `-`.
    ///
    /// On Unix a socket in `home`, or, where that path would be too long for a socket (100 bytes), in
    /// the account's runtime directory; an error says when neither is possible. On Windows a pipe.
    pub fn fresh(home: &Path, nonce: &str) -> io::Result<Endpoint> {
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a nonce is made of letters and digits"));
        }
        sys::local::fresh(home, nonce).map(Endpoint)
    }

    /// The sockets of daemons of `home`. While the instance lock of `home` is free, all of these daemons are dead.
    /// None on Windows, whose pipes end with their daemons.
    pub fn sockets(home: &Path) -> io::Result<Vec<PathBuf>> {
        sys::local::sockets(home)
    }

    /// Whether the name is still there. The name of a socket can be deleted without its listener noticing; that of a
    /// pipe cannot.
    pub fn exists(&self) -> bool {
        sys::local::exists(&self.0)
    }

    /// Removes the sockets that daemons of `home` left when they were killed, and says how many. Call it
    /// only while holding `home`'s instance lock, and before binding a new one.
    pub fn sweep(home: &Path) -> io::Result<usize> {
        let dead = Endpoint::sockets(home)?;
        for socket in &dead {
            crate::private::remove(socket)?;
        }
        Ok(dead.len())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sys::local::show(&self.0, f)
    }
}

/// The text names no address on this machine where a daemon could listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a local socket")]
pub struct NotAnEndpoint(pub String);

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Endpoint, NotAnEndpoint> {
        sys::local::parse(text).map(Endpoint).ok_or_else(|| NotAnEndpoint(text.to_owned()))
    }
}

/// The process at the other end, as the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// It runs as the same account as this process.
    pub same_user: bool,
    /// Its user id; `None` on Windows.
    pub uid: Option<u32>,
    /// Its process at the time it connected (or listened). `None` where the kernel does not tell, as
    /// across pid namespaces.
    pub pid: Option<u32>,
}

/// The blocking side. `&Connection` reads and writes, so one thread can read while another writes.
#[derive(Debug)]
pub struct Connection(sys::local::Connection);

impl Connection {
    /// Connects, waiting at most `timeout` for a busy daemon (kind `TimedOut`, or `WouldBlock`, then). `NotFound` and
    /// `ConnectionRefused` mean that no process listens there.
    pub fn connect(endpoint: &Endpoint, timeout: Duration) -> io::Result<Connection> {
        sys::local::Connection::connect(&endpoint.0, timeout).map(Connection)
    }

    /// The process that listens at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        self.0.peer()
    }

    /// How long one read may wait (then `WouldBlock` or `TimedOut`); `None`, the default, is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    /// Tells the peer that nothing more will be written; reading goes on. A Windows pipe cannot be
    /// closed by halves: there this does nothing, and the protocol has to say it.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown_write()
    }

    /// Closes both directions and wakes a thread that is blocked reading or writing: the reader sees the end, the
    /// writer an error.
    pub fn close(&self) {
        self.0.close();
    }
}

impl io::Read for &Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl io::Write for &Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The daemon's end of one accepted connection.
pub type Stream = sys::local::Stream;

/// The daemon's side. Dropping it stops the listening and removes the socket.
#[derive(Debug)]
pub struct Listener(sys::local::Listener);

impl Listener {
    /// Listens at a [`Endpoint::fresh`] name, for this account alone (mode 0600; on Windows an access list, local
    /// clients only, and no process may have had the name before). Must be called within a tokio runtime. A name that
    /// is in use is `AddrInUse`.
    pub fn bind(endpoint: &Endpoint) -> io::Result<Listener> {
        sys::local::Listener::bind(&endpoint.0).map(Listener)
    }

    /// The next client. An error concerns this one client or is a shortage (too many open files):
    /// the listener stays usable, but pause a moment before asking again.
    ///
    /// Cancel safe.
    pub async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        self.0.accept().await
    }
}

#[cfg(test)]
mod tests;
