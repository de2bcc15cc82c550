//! F03: shims behind links that break, stall, or carry garbage.
//!
//! A shim checks the identity of its daemon, so the proxy must look like one. It has a state directory of its own, the
//! test holds the lock there, and the record names the proxy's socket and the nonce of the real daemon, which runs
//! elsewhere. The proxy hides what that daemon says about its own directory, so it looks like an older daemon that does
//! not say it.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_os::local::Endpoint;
use exai_os::{lock, private};
use exai_proto::documents::{DaemonRecord, Listener};
use exai_test::proxy::{Address, Fault, Faults, Proxy};
use exai_test::{Random, eventually, program};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

/// The number of a shim's links that have a fault. The links before and after them have none.
const FAULTY: u64 = 2;
/// The number of rounds of requests on a link before the test cuts it, unless the link has broken by itself.
const ROUNDS: usize = 3;
/// The number of shims at once, since shims wait most of the time.
const AT_ONCE: usize = 32;
/// The errors that a client may get: not sent, and outcome unknown.
const HONEST: [i64; 2] = [-31001, -31002];

/// A state directory that looks to a shim like that of the daemon, with the proxy in between.
struct Place {
    dir: tempfile::TempDir,
    proxy: Proxy,
    _lock: lock::HeldLock,
}

impl Place {
    fn new(daemon: &DaemonRecord, seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a state directory");
        // A shim whose directory has servers does not look for servers elsewhere, which would take an extra thread for
        // a moment.
        std::fs::write(home.config(), "[servers.fix]\ncommand = \"fixture\"\n").expect("a configuration");
        let lock = lock::try_lock(&home.instance_lock()).expect("a lock").expect("it is free");
        let endpoint = Endpoint::fresh(home.path(), "1234567890abcdef").expect("an address");
        let target = Address::Unix(daemon.local_address().expect("a local socket").into());
        let at = Address::Unix(endpoint.to_string().into());
        let proxy = Proxy::start(&at, target, move |number| faults(seed, number)).expect("a proxy");
        let listener = Listener {
            kind: "local".to_owned(),
            addr: endpoint.to_string(),
            owner_pid: None,
            verified: true,
        };
        let record = DaemonRecord { listeners: vec![listener], ..daemon.clone() };
        let text = serde_json::to_vec(&record).expect("a document");
        private::write_atomic(&home.daemon_record(), &text).expect("a record");
        Place { dir, proxy, _lock: lock }
    }

    fn shim(&self) -> Client {
        let mut command = Command::new(program("exai"));
        command.args(["shim", "--server", "fix"]).env("EXAI_HOME", self.dir.path().join("home"));
        Client::start(command)
    }
}

/// The faults of a link, chosen by the seed. Only one of its directions has a fault.
fn faults(seed: u64, number: u64) -> Faults {
    let none = Faults { replaced: Some((b"\"home\":{", b"\"h0me\":{")), ..Faults::NONE };
    if !(2..2 + FAULTY).contains(&number) {
        return none;
    }
    let mut random = Random::new(seed << 8 | number);
    let up = random.below(2) == 0;
    // More bytes come from the daemon than go to it.
    let after = random.below(if up { 3000 } else { 30_000 });
    let fault = match random.below(12) {
        0 | 1 => Fault::Delay(Duration::from_millis(random.number() % 30)),
        2 | 3 => Fault::Slices,
        4..=6 => Fault::Cut(after),
        7 | 8 => Fault::HalfClose(after),
        9 => Fault::Stall(after),
        _ => Fault::Garbage(random.number()),
    };
    if up { Faults { up: fault, ..none } } else { Faults { down: fault, ..none } }
}

/// The outcomes of the requests of one shim.
#[derive(Default)]
struct Told {
    /// The outcome of each call, by the text of the call.
    calls: BTreeMap<String, Result<(), i64>>,
    longest: Duration,
    /// The last answer that was an error.
    last_error: Option<Value>,
}

/// A shim, and the requests that its client has made.
struct Conversation {
    seed: u64,
    client: Client,
    answered: BTreeSet<u64>,
    told: Told,
}

impl Conversation {
    /// Makes two calls, one of which may be repeated, and two more requests, all at once. Returns whether all have
    /// succeeded.
    fn round(&mut self) -> bool {
        let begun = Instant::now();
        let mut open: HashMap<u64, Option<String>> = HashMap::new();
        for tool in ["append", "look"] {
            let text = format!("{tool} {} {}", self.seed, self.told.calls.len() + open.len());
            let arguments = json!({"message": text, "ms": 5});
            let id = self.client.request("tools/call", &json!({"name": tool, "arguments": arguments}));
            open.insert(id.as_u64().expect("a number"), Some(text));
        }
        for method in ["tools/list", "ping"] {
            let id = self.client.request(method, &json!({}));
            open.insert(id.as_u64().expect("a number"), None);
        }
        let mut good = true;
        while !open.is_empty() {
            let message = self.client.receive();
            let (None, Some(id)) = (message.get("method"), message["id"].as_u64()) else { continue };
            let seed = self.seed;
            let asked = open.remove(&id).unwrap_or_else(|| panic!("seed {seed}: a second answer: {message}"));
            assert!(self.answered.insert(id), "seed {seed}: {message}");
            let outcome = message["error"]["code"].as_i64().map_or(Ok(()), Err);
            if outcome.is_err() {
                good = false;
                self.told.last_error = Some(message.clone());
            }
            match (asked, outcome) {
                (_, Err(code)) if !HONEST.contains(&code) => panic!("seed {seed}: {message}"),
                (Some(text), outcome) => {
                    let said = &message["result"]["content"][0]["text"];
                    assert!(outcome.is_err() || *said == text, "seed {seed}: {message}");
                    self.told.calls.insert(text, outcome);
                }
                (None, _) => {}
            }
        }
        self.told.longest = self.told.longest.max(begun.elapsed());
        good
    }

    /// The number of descriptors and of threads of the shim.
    fn held(&self) -> (usize, usize) {
        let count = |what| {
            let entries = std::fs::read_dir(format!("/proc/{}/{what}", self.client.pid()));
            entries.expect("the shim lives").count()
        };
        (count("fd"), count("task"))
    }
}

fn one(daemon: &DaemonRecord, seed: u64) -> Told {
    let place = Place::new(daemon, seed);
    let mut client = place.shim();
    client.initialize(&json!({}));
    let answered = BTreeSet::from([1]);
    let mut conversation = Conversation { seed, client, answered, told: Told::default() };
    assert!(conversation.round(), "seed {seed}: the first link has no fault");
    let base = conversation.held();
    // The loop ends with the first link after the faulty ones, which has no fault.
    while place.proxy.connections() < 2 + FAULTY {
        let number = place.proxy.connections();
        place.proxy.cut();
        eventually("the shim comes back", LIMIT, || place.proxy.connections() > number);
        let number = place.proxy.connections();
        for _ in 0..ROUNDS {
            conversation.round();
            if place.proxy.connections() > number {
                break;
            }
        }
    }
    // This round may still have been written to the last faulty link, before the shim noticed its end.
    conversation.round();
    let good = conversation.round();
    assert!(good, "seed {seed}: the last link has no fault: {:?}", conversation.told.last_error);
    // A thread of the start may have been counted that has ended since.
    eventually("the shim holds no more than at first", LIMIT, || {
        let (descriptors, threads) = conversation.held();
        descriptors <= base.0 && threads <= base.1
    });
    let took = conversation.client.finish();
    assert!(took < Duration::from_secs(2), "seed {seed}: it ended after {took:?}");
    conversation.told
}

/// How often each call was executed, by its text.
fn executed(ledger: &Path) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for line in std::fs::read_to_string(ledger).expect("a ledger").lines() {
        let params: Value = serde_json::from_str(line).expect("an entry");
        let text = params["arguments"]["message"].as_str().expect("a text").to_owned();
        *times.entry(text).or_default() += 1;
    }
    times
}

fn links_with_faults(seeds: std::ops::Range<u64>) {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = dir.path().join("ledger");
    let instance = Instance::with_fixture(&["--ledger", ledger.to_str().expect("a path")]);
    instance.ends(0, &["start"]);
    // This first client lets the daemon learn which calls may be repeated.
    instance.client("fix").ask("tools/list", &json!({}));
    let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
    let daemon: DaemonRecord = serde_json::from_slice(&record).expect("a document");
    let descriptors =
        || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid)).expect("the daemon lives").count();
    let base = descriptors();
    let (next, all) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let told = one(&daemon, seed);
                    all.lock().expect("no panic").push(told);
                }
            });
        }
    });
    let took = begun.elapsed();
    let all = all.into_inner().expect("no panic");
    eventually("the daemon holds what it held at first", LIMIT, || descriptors() <= base);
    let executed = executed(&ledger);
    let mut codes: BTreeMap<i64, usize> = BTreeMap::new();
    for (text, told) in all.iter().flat_map(|told| &told.calls) {
        let times = executed.get(text).copied().unwrap_or_default();
        let most = if text.starts_with("look") { 2 } else { 1 };
        let least = usize::from(told.is_ok());
        assert!((least..=most).contains(&times), "{text}: told {told:?}, executed {times} times");
        assert!(*told != Err(-31001) || times == 0, "{text}: told as not sent, and executed");
        if let Err(code) = told {
            *codes.entry(*code).or_default() += 1;
        }
    }
    eprintln!(
        "{} shims with {FAULTY} faulty links each in {took:.1?}: {} calls, errors {codes:?}, {} executed a second time \
         as they may be, none too often; a round took {:.1?} at most",
        all.len(),
        all.iter().map(|told| told.calls.len()).sum::<usize>(),
        executed.values().filter(|times| **times > 1).count(),
        all.iter().map(|told| told.longest).max().unwrap_or_default()
    );
    assert_eq!(all.len() as u64, seeds.end - seeds.start);
}

#[test]
fn whatever_becomes_of_its_link_a_shim_answers_everything_once_and_goes_on() {
    links_with_faults(1..301);
}

#[test]
#[ignore = "takes ten minutes"]
fn the_same_with_five_thousand_seeds() {
    links_with_faults(1000..6000);
}

/// A link that ends or falls silent before its hello is damaged. A refusal instead would make its shim give up the
/// requests that wait.
#[test]
fn a_link_that_breaks_before_hello_is_not_refused() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
    let daemon: DaemonRecord = serde_json::from_slice(&record).expect("a document");
    let told = |after_upgrade: &dyn Fn(&mut UnixStream)| {
        let mut link =
            UnixStream::connect(daemon.local_address().expect("a local socket")).expect("it listens");
        link.write_all(
            b"GET /shim HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
              Sec-WebSocket-Protocol: exai.1\r\n\r\n",
        )
        .expect("it reads");
        link.set_read_timeout(Some(LIMIT)).expect("a time");
        // Before the answer it would be an HTTP request that breaks, and no link.
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            link.read_exact(&mut byte).expect("the daemon answers");
            bytes.extend(byte);
        }
        after_upgrade(&mut link);
        link.read_to_end(&mut bytes).expect("the daemon ends the link");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.starts_with("HTTP/1.1 101"), "{text}");
        text
    };
    let half_closed = told(&|link| link.shutdown(Shutdown::Write).expect("it is open"));
    assert!(!half_closed.contains("refused"), "{half_closed}");
    let silent = told(&|_| {});
    assert!(!silent.contains("refused") && silent.contains("no hello within 5 s"), "{silent}");
    let damaged = told(&|link| link.write_all(&[0xff; 64]).expect("it reads"));
    assert!(!damaged.contains("refused"), "{damaged}");
    // A peer that says something else is refused: {} as a masked text frame.
    let other = told(&|link| link.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']).expect("it reads"));
    assert!(other.contains("refused") && other.contains("the first frame must be hello"), "{other}");
}
