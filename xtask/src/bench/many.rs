//! A thousand clients at once: the cost of each for the daemon, and whether they make a call slower.
//!
//! A thousand shims would be a thousand processes, and would measure the machine. So these clients speak WebSocket from
//! this process; for the daemon they are like shims. They call one after the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::drive;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::memory::{SETTLE, daemon};
use super::processes::pss;
use super::requests::{ECHO, INITIALIZE, INITIALIZED, LIST, Requests};
use super::statistics::Summary;
use super::watchdog::Watchdog;
use crate::process;

const CLIENTS: u32 = 1000;
/// The number of small calls of each side in each round.
const CALLS: usize = 1000;
const MESSAGE: usize = 100;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures what the system can show. Figures that it cannot show stay empty.
pub(crate) fn measure(
    programs: &Programs,
    rounds: usize,
    watchdog: &Watchdog,
    results: &mut Results,
) -> Result<(), String> {
    if pss(std::process::id()).is_none() {
        return Ok(());
    }
    let (crowded, lonely) = (Instance::new(programs, 1)?, Instance::new(programs, 1)?);
    process::output(&mut crowded.exai(&["start"]))?;
    let mut many = vec![Link::introduced(&crowded)?];
    let one = settled(&crowded)?;
    for _ in 1..CLIENTS {
        many.push(Link::introduced(&crowded)?);
    }
    let each = (settled(&crowded)? - one) * 1024.0 / f64::from(CLIENTS - 1);
    results.add(Series::ClientMemory, Side::Exai, vec![each]);

    process::output(&mut lonely.exai(&["start"]))?;
    let mut alone = vec![Link::introduced(&lonely)?];
    for round in 0..rounds {
        let mut sides = [Turn::Direct, Turn::One, Turn::Many];
        sides.rotate_left(round % 3);
        let mut medians = [0.0; 2];
        for side in sides {
            let times = match side {
                Turn::Direct => {
                    let mut client = Client::introduced(Command::new(&programs.echo), watchdog)?;
                    drive::sequential(&mut client, MESSAGE, CALLS / 10)?;
                    drive::sequential(&mut client, MESSAGE, CALLS)?
                }
                Turn::One => by_turns(&mut alone)?,
                Turn::Many => by_turns(&mut many)?,
            };
            let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
            let median = Summary::of(&vec![times.clone()], 50).map_or(0.0, |summary| summary.value);
            match side {
                Turn::Direct => results.add(Series::CallOfMany, Side::Direct, times),
                Turn::One => medians[0] = median,
                Turn::Many => {
                    medians[1] = median;
                    results.add(Series::CallOfMany, Side::Exai, times);
                }
            }
        }
        results.add(Series::Flat, Side::Exai, vec![medians[1] / medians[0]]);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Turn {
    Direct,
    /// The call comes from the only client of a daemon.
    One,
    /// The call comes from one of a thousand clients, from another one each time.
    Many,
}

/// The proportional memory (PSS) of the daemon at rest, in MiB.
fn settled(instance: &Instance<'_>) -> Result<f64, String> {
    let daemon = daemon(instance)?;
    thread::sleep(SETTLE);
    pss(daemon).ok_or_else(|| "the daemon has ended".to_owned())
}

/// The times of [`CALLS`] calls. The first calls come from clients that have not called for a while.
fn by_turns(links: &mut [Link]) -> Result<Vec<Duration>, String> {
    let message = "x".repeat(MESSAGE);
    let mut requests = Requests::new(ECHO, &message, 1);
    let count = links.len();
    let mut call = |number: usize| {
        let link = &mut links[number % count];
        let request = requests.next(1);
        let start = Instant::now();
        link.send(request)?;
        link.receive()?;
        Ok(start.elapsed())
    };
    for number in 0..CALLS / 10 {
        call(number)?;
    }
    (0..CALLS).map(call).collect()
}

/// A client over WebSocket that writes one message and then reads one.
struct Link {
    stream: TcpStream,
    text: Vec<u8>,
}

impl Link {
    /// A client that has listed the tools and called one of them, as clients do at first.
    fn introduced(instance: &Instance<'_>) -> Result<Self, String> {
        let mut link = Link::open(instance)?;
        link.send(INITIALIZE)?;
        link.receive()?;
        link.send(INITIALIZED)?;
        link.send(LIST)?;
        link.receive()?;
        link.send(Requests::new(ECHO, "hello", 1).next(1))?;
        let answer = link.receive()?;
        let told = answer.windows(5).any(|part| part == b"hello");
        if told {
            Ok(link)
        } else {
            Err(format!("a call was answered with {}", super::client::shown(answer)))
        }
    }

    fn open(instance: &Instance<'_>) -> Result<Self, String> {
        let (port, token) = instance.tcp()?;
        let failed = |error: std::io::Error| format!("no connection to the daemon: {error}");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let head = format!(
            "GET /mcp/echo1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\
             connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: mcp\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(failed)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(format!("the daemon refuses a WebSocket: {}", super::client::shown(&answer)));
        }
        Ok(Link { stream, text: Vec::new() })
    }

    /// Sends a message in one frame, with a mask of zeros.
    fn send(&mut self, line: &[u8]) -> Result<(), String> {
        let message = line.trim_ascii_end();
        let mut frame = vec![TEXT];
        if message.len() < LONG.into() {
            frame.push(MASKED + message.len() as u8);
        } else {
            let length = u16::try_from(message.len()).map_err(|_| "a message is too long".to_owned())?;
            frame.push(MASKED + LONG);
            frame.extend(length.to_be_bytes());
        }
        frame.extend([0; 4]);
        frame.extend(message);
        self.stream.write_all(&frame).map_err(|error| format!("the daemon does not read: {error}"))
    }

    /// Reads frames until one of them holds a message.
    fn receive(&mut self) -> Result<&[u8], String> {
        loop {
            let [first, second] = self.bytes()?;
            let length = match second {
                LONG => u16::from_be_bytes(self.bytes()?).into(),
                LONGER => usize::try_from(u64::from_be_bytes(self.bytes()?)).unwrap_or(usize::MAX),
                length => usize::from(length),
            };
            if length > MOST {
                return Err(format!("a frame of {length} bytes"));
            }
            self.text.resize(length, 0);
            self.stream.read_exact(&mut self.text).map_err(unread)?;
            match first {
                TEXT | BINARY => return Ok(&self.text),
                CLOSE => return Err("the daemon closes the WebSocket".to_owned()),
                _ => {}
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).map_err(unread)?;
        Ok(bytes)
    }
}

/// The first bytes of unfragmented frames.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
/// The bit in the second byte that marks a masked frame. The other bits are the length of the message; `LONG` and
/// `LONGER` stand for a length in the next two or eight bytes.
const MASKED: u8 = 0x80;
const LONG: u8 = 126;
const LONGER: u8 = 127;
/// A limit above every answer of this measurement.
const MOST: usize = 1 << 20;

fn unread(error: std::io::Error) -> String {
    format!("the daemon cannot be read: {error}")
}
