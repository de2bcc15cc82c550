//! Ten clients of an old build and ten of a new one connect, call and leave, while the daemon is killed now and then.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_os::process::{self, Identity, Kill, Killed};
use exai_proto::documents::DaemonRecord;
use exai_test::eventually;
use serde_json::{Value, json};

use super::{NEW, OLD, client, daemons, exai};
use crate::support::{Client, Instance, LIMIT};

const CLIENTS: usize = 10;
/// The shortest pause between two calls of a client.
const PAUSE: Duration = Duration::from_millis(40);
/// The errors that a client may get: call not sent, outcome unknown, server crashed, server unavailable.
const HONEST: [i64; 4] = [-31001, -31002, -31005, -31006];
/// The errors after which no server may have executed the call.
const NOT_SENT: [i64; 2] = [-31001, -31006];

/// The outcome of each call, by its text: success, or the code of the error.
type Told = BTreeMap<String, Result<(), i64>>;

/// Runs one client after the other until `over` is set.
fn come_and_go(instance: &Instance, build: &str, number: usize, over: &AtomicBool) -> Told {
    let mut told = Told::new();
    for life in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut client = client(instance, build);
        // The clients live for different times, so that they do not all connect at once.
        let calls = 10 + (number * 7 + life * 13) % 40;
        for call in 0..calls {
            let text = format!("{build} {number} {life} {call}");
            let asked = Instant::now();
            let outcome = one(&mut client, &text);
            told.insert(text, outcome);
            // A daemon is only replaced while no call is under way. These pauses leave such moments even on a slow
            // machine.
            thread::sleep(PAUSE.max(asked.elapsed() * 8));
        }
        let took = client.finish();
        assert!(took < Duration::from_secs(2), "{build} {number}: it ended after {took:?}");
    }
    told
}

fn one(client: &mut Client, text: &str) -> Result<(), i64> {
    let answer = client.ask("tools/call", &json!({"name": "append", "arguments": {"message": text}}));
    if let Some(code) = answer["error"]["code"].as_i64() {
        return Err(code);
    }
    assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
    Ok(())
}

/// Kills the daemon, if there is one. Returns whether it did.
fn kill(instance: &Instance) -> bool {
    let record = std::fs::read(instance.home().join("daemon.json"));
    let Some(record) = record.ok().and_then(|text| serde_json::from_slice::<DaemonRecord>(&text).ok()) else {
        return false;
    };
    let identity =
        Identity { boot: record.identity.boot, pid: record.identity.pid, start: record.identity.start };
    matches!(process::kill_verified(&identity, Kill::Force), Ok(Killed::Signalled))
}

/// Ends the clients also where an assertion fails, since the scope waits for their threads.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn churn(length: Duration, between_kills: Duration) {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = dir.path().join("ledger");
    let instance = Instance::with_fixture(&["--ledger", ledger.to_str().expect("a path")]);
    assert!(exai(&instance, OLD, &["start"]).status.success());
    let (over, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    let told: Told = thread::scope(|scope| {
        let (instance, over, kills) = (&instance, &over, &kills);
        let over_at_last = Over(over);
        let clients: Vec<_> = (0..2 * CLIENTS)
            .map(|number| {
                let build = [OLD, NEW][number % 2];
                scope.spawn(move || come_and_go(instance, build, number, over))
            })
            .collect();
        let begun = Instant::now();
        // At first without kills: the daemon must be replaced once, and never again.
        eventually("the daemon is replaced", LIMIT, || daemons(instance).len() > 1);
        thread::sleep(length / 4);
        let peaceful = daemons(instance);
        while begun.elapsed() < length {
            kills.fetch_add(usize::from(kill(instance)), Ordering::Relaxed);
            thread::sleep(between_kills);
        }
        drop(over_at_last);
        let told = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        assert_eq!(peaceful, [OLD, NEW], "in peace");
        told
    });
    instance.ends(0, &["stop"]);
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    let replaced = log.lines().filter(|line| line.contains("room=Made")).count();
    let busy = log.lines().filter(|line| line.contains("room=Busy")).count();
    let started = daemons(&instance);
    let old = started.iter().filter(|build| *build == OLD).count();
    let kills = kills.into_inner();
    let mut codes: BTreeMap<i64, usize> = BTreeMap::new();
    for code in told.values().filter_map(|told| told.err()) {
        *codes.entry(code).or_default() += 1;
    }
    eprintln!(
        "{length:?}: {} daemons ({old} old), {kills} killed, {replaced} replaced, {busy} asked while busy; \
         {} calls, errors {codes:?}",
        started.len(),
        told.len()
    );
    assert!(replaced <= old, "{replaced} replacements of {old} daemons of the old build");
    assert!(replaced >= 1);
    assert!(
        started.len() <= 1 + kills + replaced,
        "a daemon was started in the place of one that nobody ended"
    );
    assert!(codes.keys().all(|code| HONEST.contains(code)), "{codes:?}");
    let mut executed: HashMap<String, usize> = HashMap::new();
    for line in std::fs::read_to_string(&ledger).expect("a ledger").lines() {
        // A server that is killed while it writes leaves half a line.
        let Ok(params) = serde_json::from_str::<Value>(line) else { continue };
        let text = params["arguments"]["message"].as_str().unwrap_or_default().to_owned();
        *executed.entry(text).or_default() += 1;
    }
    for (text, told) in &told {
        let times = executed.get(text).copied().unwrap_or_default();
        let right = match told {
            Ok(()) => times == 1,
            Err(code) if NOT_SENT.contains(code) => times == 0,
            Err(_) => times <= 1,
        };
        assert!(right, "{text}: told {told:?}, executed {times} times");
    }
}

/// Fault 29: Two versions: at most one replacement, no call lost or doubled.
#[test]
fn ten_old_and_ten_new_shims_replace_a_daemon_of_the_old_build_once() {
    churn(Duration::from_secs(if cfg!(windows) { 10 } else { 20 }), Duration::from_secs(2));
}

#[test]
#[ignore = "takes five minutes"]
fn the_same_for_five_minutes() {
    churn(Duration::from_mins(5), Duration::from_secs(3));
}
