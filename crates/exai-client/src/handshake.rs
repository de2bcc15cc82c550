//! The HTTP/1.1 upgrade that opens the link.

use std::io::{self, Read, Write};

use exai_config::Secret;
use exai_proto::link;

use crate::limits::MAX_HANDSHAKE_BYTES;

/// The key of the example in RFC 6455. A random key would protect from caches that replay an old answer. There are
/// none on this machine, where the daemon is known before it is asked, and with a fixed key the right answer is known
/// without SHA-1.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer answers and is no exai daemon.
    #[error("it answered `{0}` to the WebSocket handshake")]
    NotOurs(String),
}

/// The request for an upgrade. No field may hold a line break.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) subprotocol: &'a str,
    pub(crate) token: Option<&'a Secret>,
}

/// The request for the link on the local socket, where the kernel says which account asks.
pub(crate) const LINK: Request<'static> =
    Request { path: link::PATH, host: "localhost", subprotocol: link::SUBPROTOCOL, token: None };

impl Request<'_> {
    fn text(&self) -> String {
        let Request { path, host, subprotocol, token } = self;
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n"
        );
        if let Some(token) = token {
            text.push_str("Authorization: Bearer ");
            text.push_str(token.expose());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text
    }
}

/// Upgrades the connection, and returns the bytes that the daemon sent behind its answer.
pub(crate) fn upgrade(
    mut stream: impl Read + Write,
    request: &Request<'_>,
) -> Result<Vec<u8>, HandshakeError> {
    stream.write_all(request.text().as_bytes())?;
    let mut answer = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    let end = loop {
        let searched = answer.len().saturating_sub(3);
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(at) = memchr::memmem::find(&answer[searched..], b"\r\n\r\n") {
            break searched + at;
        }
        if answer.len() > MAX_HANDSHAKE_BYTES {
            return Err(HandshakeError::NotOurs(first_line(&answer)));
        }
    };
    check(&answer[..end], request.subprotocol)?;
    Ok(answer.split_off(end + 4))
}

fn check(head: &[u8], subprotocol: &str) -> Result<(), HandshakeError> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let switching = lines.next().is_some_and(|status| status.starts_with("HTTP/1.1 101"));
    let (mut accepted, mut ours) = (false, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        accepted |= name.eq_ignore_ascii_case("sec-websocket-accept") && value == ACCEPT;
        ours |= name.eq_ignore_ascii_case("sec-websocket-protocol") && value == subprotocol;
    }
    if switching && accepted && ours { Ok(()) } else { Err(HandshakeError::NotOurs(first_line(head))) }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that gives these bytes as the answer to anything.
    struct Fixed(&'static [u8]);

    impl Read for Fixed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Seven bytes at a time, so that a read ends within the end of the head.
            let count = self.0.len().min(7);
            self.0.read(&mut buffer[..count])
        }
    }

    impl Write for Fixed {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_the_right_answer_opens_the_link() {
        let right =
            b"HTTP/1.1 101 Switching Protocols\r\nSEC-websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            sec-websocket-protocol:exai.1\r\n\r\n\x81\x02";
        let rest = upgrade(Fixed(right), &LINK).unwrap();
        assert!(b"\x81\x02".starts_with(&rest), "what came with the head is kept: {rest:?}");
        let wrong: [&'static [u8]; 3] = [
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            b"HTTP/1.1 101 x\r\nsec-websocket-accept: guess\r\nsec-websocket-protocol: exai.1\r\n\r\n",
            b"HTTP/1.1 101 x\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ];
        for answer in wrong {
            assert!(matches!(upgrade(Fixed(answer), &LINK), Err(HandshakeError::NotOurs(_))));
        }
        assert!(matches!(upgrade(Fixed(b"HTTP/1.1 1"), &LINK), Err(HandshakeError::Io(_))));
    }
}
