//! The WebSocket endpoint follows RFC 6455 in every byte. CONTRIBUTING.md says how Autobahn|Testsuite tests it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

pub(crate) const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A connection after the handshake.
pub(crate) struct Raw(TcpStream);

/// The next frame of a connection, or its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Frame(u8, Vec<u8>),
    End,
}

impl Raw {
    fn open(instance: &Instance) -> Self {
        let token = instance.token();
        let headers = format!("authorization: Bearer {token}\r\nsec-websocket-protocol: mcp\r\n");
        Raw::open_at(instance.port(), "/mcp/fix", &headers)
    }

    /// Opens a path with these headers, each with its line end.
    pub(crate) fn open_at(port: u16, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{headers}connection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.contains("101") && answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        Raw(stream)
    }

    /// An error is ignored: the other side may already have closed the connection.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    pub(crate) fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(&masked(first, payload));
    }

    pub(crate) fn next(&mut self) -> Next {
        let mut header = [0; 2];
        match self.0.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return Next::End;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(header[1] & 0x80, 0, "a server masks nothing");
        let length = match header[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).expect("a length");
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.0.read_exact(&mut length).expect("a length");
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        self.0.read_exact(&mut payload).expect("a payload");
        Next::Frame(header[0], payload)
    }

    /// The next frame, which must be a whole text message.
    pub(crate) fn message(&mut self) -> Value {
        match self.next() {
            Next::Frame(first, payload) if first == FINAL | TEXT => {
                serde_json::from_slice(&payload).expect("JSON")
            }
            other => panic!("{other:?}"),
        }
    }

    /// The code with which the other side closes the connection, after whatever it has said before.
    pub(crate) fn close_code(&mut self) -> u16 {
        loop {
            match self.next() {
                Next::Frame(first, _) if first == FINAL | TEXT => {}
                Next::Frame(first, payload) if first == FINAL | CLOSE => {
                    return payload.first_chunk().map(|code| u16::from_be_bytes(*code)).expect("a code");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code with which the other side closes the connection, if it gives one. The connection must end after it.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        let code = match self.next() {
            Next::Frame(first, payload) if first == FINAL | CLOSE => {
                payload.first_chunk().map(|code| u16::from_be_bytes(*code))
            }
            Next::End => panic!("an end without a close frame"),
            other @ Next::Frame(..) => panic!("{other:?}"),
        };
        assert_eq!(self.next(), Next::End, "the end comes after the close frame");
        code
    }
}

fn header(first: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![first];
    match length {
        0..=125 => frame.push(0x80 | length as u8),
        126..=0xFFFF => {
            frame.push(0x80 | 0x7E);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 0x7F);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame
}

/// The beginning of a frame whose payload never comes.
pub(crate) fn announced(first: u8, length: usize) -> Vec<u8> {
    [header(first, length), KEY.to_vec()].concat()
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len());
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn ping_request(id: u32) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": "ping", "params": {"text": "\u{1F600}ä"}})
        .to_string()
        .into_bytes()
}

fn pong_of(id: u32) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {}})
}

#[test]
fn what_the_protocol_allows_is_understood() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut raw = Raw::open(&instance);
    raw.send(FINAL | TEXT, &ping_request(1));
    assert_eq!(raw.message(), pong_of(1));
    raw.send(FINAL | BINARY, &ping_request(2));
    assert_eq!(raw.message(), pong_of(2));
    // A message in pieces: cut within a character, with two empty pieces and with control frames in between.
    let request = ping_request(3);
    let middle = request.windows(2).position(|pair| pair[0] == 0xF0).expect("a long character") + 2;
    raw.send(TEXT, &request[..middle]);
    raw.send(FINAL | PING, b"in between");
    assert_eq!(raw.next(), Next::Frame(FINAL | PONG, b"in between".to_vec()));
    raw.send(CONTINUATION, b"");
    raw.send(FINAL | PONG, b"nobody asked");
    raw.send(CONTINUATION, &request[middle..]);
    raw.send(FINAL | CONTINUATION, b"");
    assert_eq!(raw.message(), pong_of(3));
    // A message byte by byte.
    for byte in masked(FINAL | TEXT, &ping_request(4)) {
        raw.write(&[byte]);
    }
    assert_eq!(raw.message(), pong_of(4));
    // All forms of a length, and the longest control frame.
    for (id, length) in [(5, 125), (6, 126), (7, 65_535), (8, 65_536)] {
        let mut request = ping_request(id);
        request.resize(request.len().max(length), b' ');
        raw.send(FINAL | TEXT, &request);
        assert_eq!(raw.message(), pong_of(id), "{length} bytes");
    }
    raw.send(FINAL | PING, &[7; 125]);
    assert_eq!(raw.next(), Next::Frame(FINAL | PONG, vec![7; 125]));
    // Many messages at once are answered in order.
    let many: Vec<u8> = (10..60).flat_map(|id| masked(FINAL | TEXT, &ping_request(id))).collect();
    raw.write(&many);
    for id in 10..60 {
        assert_eq!(raw.message(), pong_of(id));
    }
}

#[test]
fn a_close_is_answered_with_its_code_and_then_the_connection_ends() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16] {
        let mut raw = Raw::open(&instance);
        raw.send(FINAL | CLOSE, &[&code.to_be_bytes()[..], "gr\u{FC}\u{DF}e".as_bytes()].concat());
        assert_eq!(raw.closed(), Some(code));
    }
    let mut raw = Raw::open(&instance);
    raw.send(FINAL | CLOSE, b"");
    assert_eq!(raw.closed(), None);
    // A message behind a close frame is ignored.
    let mut raw = Raw::open(&instance);
    raw.write(
        &[masked(FINAL | CLOSE, &1000_u16.to_be_bytes()), masked(FINAL | TEXT, &ping_request(1))].concat(),
    );
    assert_eq!(raw.closed(), Some(1000));
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn what_breaks_the_protocol_ends_this_connection_and_no_other() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut other = Raw::open(&instance);
    let close = |payload: &[u8]| masked(FINAL | CLOSE, payload);
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("not masked".to_owned(), [&[FINAL | TEXT, 2][..], b"{}"].concat()),
        ("a ping of 126 bytes".to_owned(), masked(FINAL | PING, &[0; 126])),
        ("a ping in pieces".to_owned(), masked(PING, b"x")),
        ("a close in pieces".to_owned(), masked(CLOSE, &1000_u16.to_be_bytes())),
        ("a continuation of nothing".to_owned(), masked(FINAL | CONTINUATION, b"x")),
        (
            "a beginning within a message".to_owned(),
            [masked(TEXT, b"{"), masked(FINAL | TEXT, b"{}")].concat(),
        ),
        ("no UTF-8".to_owned(), masked(FINAL | TEXT, b"{\"a\":\"\xC3(\"}")),
        ("a surrogate".to_owned(), masked(FINAL | TEXT, b"\xED\xA0\x80")),
        (
            "no UTF-8, in pieces".to_owned(),
            [masked(TEXT, b"\xF0\x9F"), masked(FINAL | CONTINUATION, b"\x28\x80")].concat(),
        ),
        ("text that ends within a character".to_owned(), masked(FINAL | TEXT, b"\xF0\x9F\x98")),
        ("a close of one byte".to_owned(), close(&[3])),
        ("a close with no UTF-8".to_owned(), close(b"\x03\xE8\xFF\xFE")),
        ("a frame of 32 MiB and a lot".to_owned(), announced(FINAL | TEXT, (32 << 20) + 4096)),
        ("the longest length there is".to_owned(), announced(FINAL | BINARY, usize::MAX >> 1)),
        ("a length that is too long for the protocol".to_owned(), announced(FINAL | BINARY, usize::MAX)),
    ];
    for bits in [0x40, 0x20, 0x10] {
        cases.push((format!("reserved bit {bits:#x}"), masked(FINAL | bits | TEXT, b"{}")));
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        cases.push((format!("opcode {opcode:#x}"), masked(FINAL | opcode, b"")));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65_535_u16] {
        cases.push((format!("close code {code}"), close(&code.to_be_bytes())));
    }
    let number = cases.len();
    for (id, (what, bytes)) in cases.into_iter().enumerate() {
        let mut raw = Raw::open(&instance);
        let begun = Instant::now();
        raw.write(&bytes);
        let code = raw.closed();
        let expected = if what.contains("UTF-8") || what.contains("surrogate") || what.contains("character") {
            1007
        } else if what.contains("length") || what.contains("MiB") {
            1009
        } else {
            1002
        };
        assert_eq!(code, Some(expected), "{what}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        other.send(FINAL | TEXT, &ping_request(id as u32));
        assert_eq!(other.message(), pong_of(id as u32), "{what}");
    }
    eprintln!("{number} ways to break the protocol");
}

#[test]
fn a_daemon_that_ends_says_with_the_code_whether_another_comes() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    for (command, code) in [("restart", 1012_u16), ("stop", 1001)] {
        let mut raw = Raw::open(&instance);
        instance.ends(0, &[command]);
        let Next::Frame(first, payload) = raw.next() else { panic!("{command}: no close frame") };
        assert_eq!((first, &payload[..2]), (FINAL | CLOSE, &code.to_be_bytes()[..]), "{command}");
    }
}
