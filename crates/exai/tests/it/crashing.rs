//! F08: exai stops starting a server that crashes again and again, and says why.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture};

const SECOND: Duration = Duration::from_secs(1);

/// A server that notes its start, writes this word to stderr, and exits.
fn crashing(spawns: &Path, word: &str) -> String {
    fixture("loop", &["--note-start", spawns.to_str().expect("a path"), "--die-at-start", word])
}

fn count(spawns: &Path) -> usize {
    std::fs::read_to_string(spawns).unwrap_or_default().lines().count()
}

fn server(instance: &Instance) -> Value {
    instance.status()["servers"][0].clone()
}

/// The processor time that the daemon has used. Other systems than Linux are not asked.
fn processor(pid: &Value) -> Option<Duration> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|at| fields[*at].parse::<u64>().ok()).sum();
    // Linux shows a hundred ticks per second, whatever the kernel itself counts with.
    Some(Duration::from_millis(ticks * 10))
}

/// The processor time that the daemon has used since `then`.
fn processor_since(pid: &Value, then: Option<Duration>) -> Option<Duration> {
    Some(processor(pid)?.saturating_sub(then?))
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        World { dir: tempfile::tempdir().expect("a directory") }
    }

    fn spawns(&self) -> PathBuf {
        self.dir.path().join("spawns")
    }
}

#[test]
fn a_server_that_ends_at_once_is_left_alone_after_a_few_times_until_somebody_does_something() {
    let world = World::new();
    let spawns = world.spawns();
    let instance = Instance::new(&(crashing(&spawns, "no licence found") + "crash_limit = 3\n"));
    let mut client = instance.shim(&[]);
    client.initialize(&json!({}));
    let pid = instance.status()["daemon"]["pid"].clone();
    let (begun, used) = (Instant::now(), processor(&pid));
    let tool = json!({"name": "loop__echo", "arguments": {}});
    let mut calls = 0;
    eventually("the server is left alone", LIMIT, || {
        let answer = client.ask("tools/call", &tool);
        assert_eq!(answer["error"]["code"], -31006, "{answer}");
        assert!(answer["error"].to_string().contains("no licence found"), "{answer}");
        calls += 1;
        server(&instance)["state"] == "failed"
    });
    let (lasted, used) = (begun.elapsed(), processor_since(&pid, used));
    assert_eq!(count(&spawns), 3);

    let failed = server(&instance);
    let said = |key: &str, what: &str| failed[key].as_str().is_some_and(|text| text.contains(what));
    assert!(said("reason", "status 3") && said("stderr_tail", "no licence found"), "{failed}");
    // From here on every call is refused at once, and nothing is started.
    let quiet = processor(&pid);
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let asked = Instant::now();
        assert_eq!(client.ask("tools/call", &tool)["error"]["code"], -31006);
        slowest = slowest.max(asked.elapsed());
    }
    let after = (begun.elapsed(), processor_since(&pid, quiet));
    assert!(slowest < SECOND, "{slowest:?}");
    assert_eq!(count(&spawns), 3);
    eprintln!(
        "a server that ends at once and may do so 3 times: 3 starts in {lasted:.1?} under {calls} calls, {:.1?} of processor for the daemon; \
         then 50 calls refused in {:.0?} with {:.0?} of processor, the slowest after {slowest:.1?}",
        used.unwrap_or_default(),
        after.0,
        after.1.unwrap_or_default(),
    );

    // A person asks for another try.
    instance.ends(0, &["restart", "loop"]);
    assert_eq!(client.ask("tools/call", &tool)["error"]["code"], -31006);
    assert!(count(&spawns) > 3, "it was tried again");
    eventually("it fails again", LIMIT, || {
        client.ask("tools/call", &tool);
        server(&instance)["state"] == "failed"
    });
    assert_eq!(count(&spawns), 6, "as often as the first time");

    // A person has put the configuration right.
    instance.configure(&fixture("loop", &[]));
    eventually("it is well", LIMIT, || server(&instance)["state"] != "failed");
    assert_eq!(client.call("loop__echo", &json!({"message": "mended"})), "mended");
}

#[test]
fn a_server_that_works_before_it_crashes_is_not_started_more_often() {
    let world = World::new();
    let ledger = world.spawns();
    let instance = Instance::new(&fixture("fix", &["--ledger", ledger.to_str().expect("a path")]));
    let mut client = instance.client("fix");
    let (mut pids, begun) = (Vec::new(), Instant::now());
    eventually("it is left alone", LIMIT, || {
        let alive = client.ask("tools/call", &json!({"name": "pid", "arguments": {}}));
        if let Some(pid) = alive["result"]["content"][0]["text"].as_str() {
            pids.push(pid.to_owned());
            client.ask("tools/call", &json!({"name": "die", "arguments": {"code": 9}}));
        }
        server(&instance)["state"] == "failed"
    });
    pids.dedup();
    assert_eq!(pids.len(), 5, "{pids:?}");
    let answer = client.ask("tools/call", &json!({"name": "pid", "arguments": {}}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("status 9")), "{answer}");
    eprintln!("a server that works and crashes: 5 runs in {:.1?}, then -31006", begun.elapsed());
    instance.ends(0, &["restart", "fix"]);
    assert_eq!(client.call("echo", &json!({"message": "back"})), "back");
}

#[test]
fn an_eager_server_that_crashes_costs_next_to_nothing() {
    let world = World::new();
    let spawns = world.spawns();
    let instance = Instance::new(&(crashing(&spawns, "no display") + "start = \"eager\"\n"));
    instance.ends(0, &["start"]);
    let pid = instance.status()["daemon"]["pid"].clone();
    let (begun, used) = (Instant::now(), processor(&pid));
    eventually("it is left alone", LIMIT, || count(&spawns) == 5);
    eventually("that is known", LIMIT, || server(&instance)["state"] == "failed");
    let (took, used) = (begun.elapsed(), processor_since(&pid, used));
    eprintln!(
        "an eager server that ends at once: 5 starts in {took:.1?}, {:.1?} of processor",
        used.unwrap_or_default()
    );
    assert!(used.is_none_or(|used| used < took.mul_f64(0.05)), "{used:?} within {took:?}");
}
