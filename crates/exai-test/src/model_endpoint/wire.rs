//! HTTP/1.1 as far as the endpoint needs it.

use std::io::{self, BufRead, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::reply::{Ending, Reply};
use super::seen::{End, Seen};
use crate::http::Request;

/// How often a pause looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(2);

/// Reads the next request; `None` if the client is done.
pub(super) fn read_request(from: &mut impl BufRead) -> io::Result<Option<Seen>> {
    let Some(Request { method, path, headers, body }) = Request::read(from)? else { return Ok(None) };
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Seen { number: 0, method, path, headers, body, first_sent: None, end: End::Open }))
}

/// What the next piece of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// Others follow, or the answer does not end in order.
    Middle,
    /// The client that has it has the answer, and may ask again before this thread runs again.
    Last,
}

/// Sends an answer, and calls `before` ahead of each piece. Whether the connection may be used again; an error means that
/// the client has left, or `is_over`.
pub(super) fn send(
    mut stream: &TcpStream,
    reply: &Reply,
    before: &dyn Fn(Piece),
    is_over: &dyn Fn() -> bool,
) -> io::Result<bool> {
    if reply.has_head {
        let headers: Vec<String> =
            reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let first = format!("HTTP/1.1 {} X\r\ntransfer-encoding: chunked\r\n", reply.status);
        stream.write_all((first + &headers.concat() + "\r\n").as_bytes())?;
    }
    for (index, piece) in reply.pieces.iter().enumerate().take(reply.sent) {
        pause(stream, reply.pause, is_over)?;
        let is_last = reply.ending == Ending::Whole && index + 1 == reply.pieces.len();
        before(if is_last { Piece::Last } else { Piece::Middle });
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk)?;
    }
    match reply.ending {
        Ending::Whole => stream.write_all(b"0\r\n\r\n").map(|()| true),
        Ending::Cut => Ok(false),
        Ending::Hang => pause(stream, Duration::from_hours(1), is_over).map(|()| false),
    }
}

/// Waits, unless the client leaves.
fn pause(stream: &TcpStream, length: Duration, is_over: &dyn Fn() -> bool) -> io::Result<()> {
    let start = Instant::now();
    loop {
        if has_left(stream)? || is_over() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let left = length.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

fn has_left(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let looked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(match looked {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    })
}
