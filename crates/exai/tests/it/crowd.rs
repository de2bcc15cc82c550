//! L05: thousands of TCP connections that send nothing, or too slowly, or too little, keep no client out.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use exai_test::{eventually, scaled};
use serde_json::json;

use crate::faults::daemon;
use crate::support::{Instance, LIMIT, resident};
use crate::ways::{Door, Party, WAYS, Way};

/// How soon a client must be served. Where the crowd has just filled the backlog, the kernel of the client repeats its
/// connection after one second, which no listener can change. Under Wine each turn of the crowd goes through Wine's single
/// server process, and how long that takes says nothing about the daemon.
const SOON: Duration = if cfg!(windows) { LIMIT } else { Duration::from_secs(2) };
const MIB: u64 = 1024 * 1024;
/// The number of TCP connections that the daemon keeps. Half of them may be connections without a token.
const PLACES: usize = 1024;
/// The number of threads of the crowd. Each of them waits until the port accepts its next connection.
const MEMBERS: usize = if cfg!(windows) { 4 } else { 16 };

/// The text that a connection sends before it falls silent.
fn beginnings(port: u16) -> [String; 4] {
    let host = format!("host: 127.0.0.1:{port}\r\n");
    [
        String::new(),
        format!("GET /mcp HTTP/1.1\r\n{host}x-slow: "),
        // Without a token the daemon answers this request, and the connection stays open.
        format!("GET /mcp HTTP/1.1\r\n{host}\r\n"),
        format!("GET /mcp HTTP/1.1\r\n{host}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-vers"),
    ]
}

/// Many connections at once. Each is made again as soon as the daemon closes it, until the crowd is dropped.
struct Crowd {
    end: Arc<AtomicBool>,
    /// The number of connections so far.
    came: Arc<AtomicUsize>,
    members: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn gather(port: u16, size: usize) -> Self {
        let (end, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let member = |number: usize| {
            let (end, came, beginnings) = (end.clone(), came.clone(), beginnings(port));
            thread::spawn(move || {
                let mut held = VecDeque::new();
                while !end.load(Ordering::Relaxed) {
                    if held.len() == size / MEMBERS {
                        held.pop_front();
                    }
                    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                        let which = came.fetch_add(1, Ordering::Relaxed) + number;
                        // The daemon may have closed the connection already.
                        let _ = stream.write_all(beginnings[which % beginnings.len()].as_bytes());
                        held.push_back(stream);
                    }
                }
            })
        };
        let members = (0..MEMBERS).map(member).collect();
        Crowd { end, came, members }
    }

    /// Ends the crowd, and returns the number of all its connections.
    fn disperse(self) -> usize {
        self.end.store(true, Ordering::Relaxed);
        self.members.into_iter().for_each(|member| member.join().expect("a member"));
        self.came.load(Ordering::Relaxed)
    }
}

struct Daemon(u32);

impl Daemon {
    fn memory(&self) -> u64 {
        resident(self.0)
    }

    /// The number of open descriptors. Other systems than Linux are not asked.
    fn descriptors(&self) -> Option<usize> {
        let open = cfg!(target_os = "linux").then(|| std::fs::read_dir(format!("/proc/{}/fd", self.0)));
        Some(open?.expect("it lives").count())
    }
}

fn more(now: Option<usize>, before: Option<usize>) -> Option<usize> {
    Some(now?.saturating_sub(before?))
}

#[test]
fn a_crowd_that_never_says_who_it_is_keeps_no_client_out() {
    let instance = Instance::with_fixture(&[]);
    let door = Door::of(&instance);
    let pid = daemon(&instance).pid;
    let daemon = Daemon(pid);
    let mut before = Party::join(&instance, &door, Way::Socket, Some("fix"), &json!({}));
    before.call("echo", &json!({"message": "warm"}));
    let (memory, descriptors) = (daemon.memory(), daemon.descriptors());
    let size = scaled(2000);
    let crowd = Crowd::gather(door.port, size);
    eventually("everybody has come", LIMIT, || crowd.came.load(Ordering::Relaxed) >= size);
    eventually("as many are there as may be", LIMIT, || {
        more(daemon.descriptors(), descriptors).is_none_or(|more| more > PLACES / 2 - 64)
    });
    let mut peak = (daemon.memory(), daemon.descriptors());
    let mut slowest = Duration::ZERO;
    for way in WAYS {
        let begun = Instant::now();
        let mut party = Party::join(&instance, &door, way, Some("fix"), &json!({}));
        assert_eq!(party.call("echo", &json!({"message": "in"})), "in");
        let took = begun.elapsed();
        slowest = slowest.max(took);
        assert!(took < SOON, "{way:?}: {took:?}");
        peak = (peak.0.max(daemon.memory()), peak.1.max(daemon.descriptors()));
    }
    let asked = Instant::now();
    assert_eq!(before.call("echo", &json!({"message": "still in"})), "still in");
    assert!(asked.elapsed() < SOON);
    assert!(peak.0 < memory + 64 * MIB, "from {memory} to {} bytes", peak.0);
    let most = more(peak.1, descriptors);
    assert!(most.is_none_or(|most| most <= PLACES), "{most:?} descriptors more than {descriptors:?}");
    let came = crowd.disperse();
    eventually("the crowd is gone", LIMIT, || daemon.descriptors() <= descriptors);
    eprintln!(
        "{came} TCP connections that never say who they are: a client is in within {slowest:.0?}; memory {} KiB and \
         descriptors {} more at most, none left afterwards",
        peak.0.saturating_sub(memory) / 1024,
        most.unwrap_or_default()
    );
}
