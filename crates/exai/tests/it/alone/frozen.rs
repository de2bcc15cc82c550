//! A daemon that is frozen, is not reaped, has a crowded socket, or is started by a careless caller.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exai_os::local::{Connection, Endpoint};
use exai_test::{eventually, program};
use serde_json::json;

use super::{SECOND, comes_and_goes, daemons, look, nothing_is_left, pid, run, signal};
use crate::support::{Client, Instance};

#[test]
fn a_frozen_daemon_is_called_wedged_and_only_restart_replaces_it() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let frozen = pid(&instance);
    signal(frozen, "STOP");
    let begun = Instant::now();
    let status = look(&instance);
    let seen = begun.elapsed();
    assert_eq!(status["state"], "wedged", "{status}");
    assert!(seen < SECOND * 3, "{seen:?}");
    let verdict = status["verdict"].as_str().unwrap_or_default();
    assert!(verdict.contains(&format!("pid {frozen}")), "{verdict}");
    assert_eq!(instance.exai(&["status"]).status.code(), Some(4));
    // Neither a start nor a shim may start a second daemon.
    let mut shim = instance.shim(&[]);
    let id = shim.request("initialize", &json!({"protocolVersion": "2025-06-18", "capabilities": {}}));
    let begun = Instant::now();
    let refused = instance.exai(&["start"]);
    let waited = begun.elapsed();
    assert_eq!(refused.status.code(), Some(1));
    let said = crate::support::text(&refused.stderr);
    // One of the two has the starters' lock at the end, and the other one names it.
    let named =
        [format!("a daemon (pid {frozen}) holds"), format!("another process (pid {}) holds", shim.pid())];
    assert!(named.iter().any(|name| said.contains(name)), "{said}");
    assert!(waited < SECOND * 23, "{waited:?}");
    // The session begins all the same, and its instructions say why it is empty.
    let begun = shim.answer(&id);
    let instructions = begun["result"]["instructions"].as_str().unwrap_or_default();
    assert!(instructions.contains("the exai daemon cannot be reached"), "{begun}");
    assert_eq!(daemons(&instance), [frozen]);
    let begun = Instant::now();
    instance.ends(0, &["restart"]);
    eprintln!(
        "frozen: called wedged after {seen:.2?}, start gave up after {waited:.1?}, restart took {:.1?}",
        begun.elapsed()
    );
    assert_ne!(pid(&instance), frozen);
    assert_eq!(daemons(&instance).len(), 1);
    drop(shim);
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after restart");
}

#[test]
fn a_frozen_daemon_that_goes_on_serves_as_before() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let daemon = pid(&instance);
    signal(daemon, "STOP");
    assert_eq!(look(&instance)["state"], "wedged");
    signal(daemon, "CONT");
    assert_eq!(pid(&instance), daemon);
}

#[test]
fn a_dead_daemon_that_nobody_reaps_counts_as_gone() {
    let instance = Instance::new("");
    let mut parent = instance.command(&["serve"]).stderr(Stdio::null()).spawn().expect("it starts");
    eventually("the daemon serves", SECOND * 10, || super::state(&instance) == "running");
    parent.kill().expect("it can be killed");
    eventually("it is a zombie", SECOND * 5, || {
        let all = exai_os::process::snapshot().expect("the process list");
        all.iter().any(|process| process.pid == parent.id() && process.zombie)
    });
    let begun = Instant::now();
    assert_eq!(super::state(&instance), "stale");
    comes_and_goes(&instance, "a zombie");
    eprintln!("stale, start, status, stop beside a zombie: {:.2?}", begun.elapsed());
    parent.wait().expect("it is reaped");
}

#[test]
fn a_killed_daemons_lock_is_held_by_none_of_its_children() {
    // The daemon is gone, but its server and a helper that holds everything it inherited may live on.
    let switches = ["--children-inherit", "2", "--ignore-stdin-eof"];
    let instance = Instance::with_fixture(&switches);
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let mut client = instance.client("fix");
        assert_eq!(client.call("echo", &json!({"message": "x"})), "x");
        let killed = pid(&instance);
        drop(client);
        super::end(killed);
        let begun = Instant::now();
        instance.ends(0, &["start"]);
        longest = longest.max(begun.elapsed());
        assert_eq!(daemons(&instance).len(), 1);
    }
    eprintln!("5 daemons killed with stubborn children: the next one runs after {longest:.2?} at most");
    instance.ends(0, &["stop"]);
    for (pid, _) in super::everything(&instance) {
        super::end(pid);
    }
    assert!(longest < SECOND * 3, "{longest:?}");
}

#[test]
fn a_caller_that_leaks_a_pipe_gets_its_end() {
    let instance = Instance::new("");
    // Descriptor 9 is the pipe that this test reads to its end.
    let script = "\"$0\" start 9>&1 >/dev/null 2>&1";
    let mut caller = Command::new("sh");
    caller.arg("-c").arg(script).arg(program("exai")).env("EXAI_HOME", instance.home()).stdin(Stdio::null());
    let begun = Instant::now();
    let output = caller.output().expect("it runs");
    let took = begun.elapsed();
    assert!(output.status.success() && daemons(&instance).len() == 1);
    assert!(took < SECOND * 5, "{took:?}");
    eprintln!("the caller's pipe ended {took:.2?} after `start` began, with the daemon alive");
}

#[test]
fn a_daemon_with_a_full_queue_is_waited_for() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    exai_os::tree::raise_descriptor_limit();
    let status = instance.status();
    let daemon = pid(&instance);
    let local = status["daemon"]["listeners"][0]["addr"].as_str().expect("an address").to_owned();
    let endpoint: Endpoint = local.parse().expect("an address");
    signal(daemon, "STOP");
    let mut crowd = Vec::new();
    while let Ok(connection) = Connection::connect(&endpoint, Duration::from_millis(50)) {
        crowd.push(connection);
        assert!(crowd.len() < 5000, "the queue has no end");
    }
    let begun = Instant::now();
    assert_eq!(look(&instance)["state"], "wedged");
    let seen = begun.elapsed();
    assert!(seen < SECOND * 3, "{seen:?}");
    let mut shims: Vec<Client> = (0..5).map(|_| instance.shim(&[])).collect();
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}});
    let ids: Vec<_> = shims.iter_mut().map(|shim| shim.request("initialize", &hello)).collect();
    let begun = Instant::now();
    // No event shows that something does not happen, so the test watches for a while.
    while begun.elapsed() < SECOND * 3 {
        assert_eq!(daemons(&instance), [daemon]);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(std::path::Path::new(&local).exists(), "nobody unlinked it");
    let length = crowd.len();
    drop(crowd);
    signal(daemon, "CONT");
    let begun = Instant::now();
    for (shim, id) in shims.iter_mut().zip(ids) {
        assert_eq!(shim.answer(&id)["result"]["protocolVersion"], "2025-06-18");
    }
    eprintln!(
        "queue full at {length}: wedged after {seen:.2?}; freed, 5 shims served after {:.2?}",
        begun.elapsed()
    );
    assert_eq!(pid(&instance), daemon);
    run(&mut instance.command(&["stop"]));
}
