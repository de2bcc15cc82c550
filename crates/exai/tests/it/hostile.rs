//! L06: expensive JSON from clients and from servers costs a bounded amount of memory, and does not harm other clients.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_test::scaled;
use serde_json::{Value, json};

use crate::faults::daemon;
use crate::support::{Client, Instance, fixture, resident};
use crate::ways::{Door, Party, WAYS};

const MIB: u64 = 1024 * 1024;
const SIZE: usize = 4 << 20;
/// The most memory that the daemon may use.
const MOST: u64 = 512 * MIB;
/// The longest time that a call of another client may take meanwhile, in a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);

/// A kind of text, and the error code of the answer if exai does not pass the text on.
struct Kind {
    name: &'static str,
    text: String,
    code: Option<i64>,
}

fn kinds() -> [Kind; 4] {
    let empty = format!("[{}[]]", "[],".repeat(SIZE / 3 - 2));
    let mut keys = String::new();
    for number in 0..SIZE / 12 {
        let _ = write!(keys, "\"k{number:07}\":0,");
    }
    [
        Kind { name: "many empty lists", text: empty, code: None },
        Kind { name: "many keys", text: format!("{{{keys}\"end\":0}}"), code: None },
        Kind { name: "deep lists", text: "[".repeat(SIZE / 2) + &"]".repeat(SIZE / 2), code: Some(-32600) },
        Kind { name: "a text without an end", text: "\"".to_owned() + &"x".repeat(SIZE), code: Some(-32700) },
    ]
}

/// Measures the peak of the daemon's memory, and the longest call of another client, until it is stopped.
struct Watch<'a> {
    stop: &'a AtomicBool,
    peak: &'a AtomicU64,
}

impl Watch<'_> {
    fn run(&self, pid: u32, mut other: Client) -> Duration {
        let mut longest = Duration::ZERO;
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            assert_eq!(other.call("echo", &json!({"message": "unhurt"})), "unhurt");
            longest = longest.max(asked.elapsed());
            self.peak.fetch_max(resident(pid), Ordering::Relaxed);
        }
        longest
    }
}

/// Stops the measurement also when the work panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` while another client is served. Returns the peak of memory and the longest call of the other client.
fn beside(instance: &Instance, work: impl FnOnce()) -> (u64, Duration) {
    let other = instance.client("fine");
    let pid = daemon(instance).pid;
    let (stop, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let watch = Watch { stop: &stop, peak: &peak };
    let longest = thread::scope(|scope| {
        let watching = scope.spawn(|| watch.run(pid, other));
        {
            let _stop = Stop(&stop);
            work();
        }
        watching.join().expect("the others are unhurt")
    });
    assert_eq!(daemon(instance).pid, pid, "it is the same daemon");
    (peak.into_inner(), longest)
}

#[test]
fn expensive_messages_of_clients_are_passed_on_or_refused_within_bounds() {
    let instance = Instance::new(&(fixture("fix", &[]) + &fixture("fine", &[])));
    let door = Door::of(&instance);
    let kinds = kinds();
    let rounds = scaled(1);
    let (peak, longest) = beside(&instance, || {
        thread::scope(|scope| {
            // Two clients at once for each kind, and the ways in turn.
            for (number, way) in (0..kinds.len() * 2).zip(WAYS.into_iter().cycle()) {
                let kind = &kinds[number % kinds.len()];
                let (instance, door) = (&instance, &door);
                scope.spawn(move || {
                    let mut party = Party::join(instance, door, way, Some("fix"), &json!({}));
                    for round in 0..rounds {
                        let text = format!(
                            r#"{{"jsonrpc":"2.0","id":"r{round}","method":"tools/call","params":{{"name":"echo","arguments":{{"message":"read","x":{}}}}}}}"#,
                            kind.text
                        );
                        party.send_text(&text);
                        let answer = party.receive();
                        let expected = kind.code.map(Value::from).unwrap_or_default();
                        assert_eq!(answer["error"]["code"], expected, "{} over {way:?}: {answer}", kind.name);
                        assert_eq!(party.call("echo", &json!({"message": "on"})), "on", "{way:?}");
                    }
                });
            }
        });
    });
    let messages = kinds.len() * 2 * rounds;
    eprintln!(
        "{messages} × 4 MiB of expensive JSON from clients at once: {} MiB of memory, the longest call of others {longest:.1?}",
        peak / MIB
    );
    assert!(peak < MOST, "{peak}");
    assert!(longest < LONGEST, "{longest:?}");
}

/// A server that answers each call with the content of a file that has the name of the tool.
fn answering(dir: &Path) -> String {
    fixture("hostile", &["--answers", dir.to_str().expect("a path")]) + "call_timeout = \"2s\"\n"
}

#[test]
fn expensive_answers_of_servers_are_passed_on_or_dropped_within_bounds() {
    let dir = tempfile::tempdir().expect("a directory");
    let kinds = kinds();
    for (number, kind) in kinds.iter().enumerate() {
        let text = format!("{{\"content\":[],\"x\":{}}}", kind.text);
        std::fs::write(dir.path().join(format!("kind{number}")), text).expect("it is written");
    }
    let instance = Instance::new(&(answering(dir.path()) + &fixture("fine", &[])));
    let (clients, rounds) = (2, scaled(1));
    let (peak, longest) = beside(&instance, || {
        thread::scope(|scope| {
            for client in 0..clients {
                let (instance, kinds) = (&instance, &kinds);
                scope.spawn(move || {
                    let mut client = (client, instance.client("hostile"));
                    for (number, kind) in (0..rounds).flat_map(|_| kinds.iter().enumerate()) {
                        let call = json!({"name": format!("kind{number}"), "arguments": {}});
                        let answer = client.1.ask("tools/call", &call);
                        // An answer that is no message leads to an error for the call with its id.
                        let expected = kind.code.map(|_| json!(-31002)).unwrap_or_default();
                        assert_eq!(answer["error"]["code"], expected, "{}, client {}", kind.name, client.0);
                    }
                });
            }
        });
    });
    let answers = clients * kinds.len() * rounds;
    eprintln!(
        "{answers} × 4 MiB of expensive JSON from a server: {} MiB of memory, the longest call of others {longest:.1?}",
        peak / MIB
    );
    assert!(peak < MOST, "{peak}");
    assert!(longest < LONGEST, "{longest:?}");
}
