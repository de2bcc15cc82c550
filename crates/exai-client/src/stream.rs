//! The connection below a link: the private local socket, or TCP to this machine (`exai shim --url`).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use exai_os::local::Connection;

use crate::frame::{Key, NO_MASK, Opcode};

/// One open connection. `&Stream` reads and writes, so one thread can read while another writes.
#[derive(Debug)]
pub(crate) enum Stream {
    /// The local socket: the link, with its hello and its control messages.
    Local(Connection),
    /// TCP: plain MCP over WebSocket.
    Tcp(TcpStream),
}

/// How messages are framed on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The link: messages are binary, text is control.
    Link,
    /// Subprotocol `mcp`: every message is text, and there is nothing else.
    Mcp,
}

impl Stream {
    pub(crate) fn framing(&self) -> Framing {
        match self {
            Stream::Local(_) => Framing::Link,
            Stream::Tcp(_) => Framing::Mcp,
        }
    }

    /// How long one read may wait; `None` is for ever.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Local(connection) => connection.set_read_timeout(timeout),
            Stream::Tcp(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Closes both directions and wakes a thread that is blocked reading or writing.
    pub(crate) fn close(&self) {
        match self {
            Stream::Local(connection) => connection.close(),
            // An error means that the connection has ended already.
            Stream::Tcp(stream) => drop(stream.shutdown(Shutdown::Both)),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Local(connection) => (&mut &*connection).read(buffer),
            Stream::Tcp(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Local(connection) => (&mut &*connection).write(buffer),
            Stream::Tcp(stream) => (&mut &*stream).write(buffer),
        }
    }

    /// Neither kind of stream buffers.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Framing {
    /// The kind of frame that carries this message. A text frame that is no UTF-8 would end the connection, so such a
    /// message goes as binary, and the daemon answers it as it does on the link.
    pub(crate) fn opcode(self, message: &[u8]) -> Opcode {
        match self {
            Framing::Mcp if std::str::from_utf8(message).is_ok() => Opcode::Text,
            Framing::Link | Framing::Mcp => Opcode::Binary,
        }
    }

    /// The key of the next frame; see [`crate::frame`].
    pub(crate) fn key(self) -> Key {
        match self {
            Framing::Link => NO_MASK,
            Framing::Mcp => random_key(),
        }
    }
}

fn random_key() -> Key {
    let mut key = NO_MASK;
    while key == NO_MASK {
        getrandom::fill(&mut key).expect("BUG: the system has no randomness");
    }
    key
}
