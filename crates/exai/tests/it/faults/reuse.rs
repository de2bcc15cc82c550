//! Fault 27: Pids that change hands between decision and signal, in a namespace where a test can arrange this.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use exai_os::process::{self, Identity, Kill, Killed};
use exai_test::{eventually, sleeper};
use serde_json::json;

use super::{SECOND, Stranger, daemon, end, identify, signal, tree};
use crate::support::Instance;

const INSIDE: &str = "EXAI_TEST_INSIDE_NAMESPACE";
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Runs the named test again in a pid namespace of its own. Returns `true` inside the namespace, and `false` outside:
/// after the test has passed inside, or where no such namespace is allowed.
#[expect(clippy::disallowed_methods, reason = "a test asks its own other half")]
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let apart = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let tried =
        Command::new("unshare").args(apart).args(["sh", "-c", &format!("echo 4000 > {LAST_PID}")]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this account may not make a pid namespace");
        return false;
    }
    let mut again = Command::new("unshare");
    // The first process of a namespace must reap orphans, which a shell does.
    again
        .args(apart)
        .args(["sh", "-c", "\"$0\" \"$@\"; exit $?"])
        .arg(std::env::current_exe().expect("a running test has a path"));
    again.args(["--exact", test, "--nocapture"]).env(INSIDE, "yes");
    let status = again.status().expect("unshare runs");
    assert!(status.success(), "inside of the namespace: {status}");
    false
}

/// Starts a process with this pid, if the pid is free.
fn take(pid: u32) -> Option<Stranger> {
    // The kernel gives the next process the next free pid.
    std::fs::write(LAST_PID, (pid - 1).to_string()).expect("the last pid can be set");
    let stranger = Stranger::start(&mut sleeper());
    (stranger.identity.pid == pid).then_some(stranger)
}

#[test]
fn a_pid_that_changed_hands_is_not_signalled() {
    if !inside("faults::reuse::a_pid_that_changed_hands_is_not_signalled") {
        return;
    }
    for round in 0..50_u32 {
        let meant = Stranger::start(&mut sleeper());
        let identity = meant.identity.clone();
        // Two processes that start within one tick of 10 ms would have the same identity.
        std::thread::sleep(SECOND / 50);
        drop(meant);
        let stranger = take(identity.pid).expect("the pid is free");
        assert_ne!(stranger.identity, identity, "round {round}");
        for how in [Kill::Terminate, Kill::Force] {
            assert_eq!(process::kill_verified(&identity, how).expect("a look"), Killed::NotTheSame);
        }
        assert!(process::wait_gone(&identity, Instant::now()).expect("a look"), "the one meant is gone");
        assert!(stranger.lives(), "round {round}");
    }
    eprintln!("50 pids used again: 100 signals withheld");
}

/// Takes each of these pids as soon as it is free, until all are taken.
fn take_all(wanted: &[Identity], over: &AtomicBool) -> BTreeMap<u32, Stranger> {
    let mut taken = BTreeMap::new();
    let until = Instant::now() + SECOND * 20;
    while taken.len() < wanted.len() && !over.load(Ordering::Relaxed) && Instant::now() < until {
        for one in wanted.iter().filter(|one| identify(one.pid).is_none()) {
            if let Some(stranger) = take(one.pid) {
                taken.insert(one.pid, stranger);
            }
        }
    }
    taken
}

/// A server of eight processes is ended in each way there is, while strangers take its pids.
#[test]
fn strangers_that_take_the_pids_of_a_dying_tree_are_spared() {
    if !inside("faults::reuse::strangers_that_take_the_pids_of_a_dying_tree_are_spared") {
        return;
    }
    let ways = ["stop", "restart", "kill the daemon", "kill the guard", "kill both, then start"];
    let (mut taken_in_all, mut killed_in_all) = (0, 0);
    for way in ways {
        let instance = Instance::with_fixture(&["--children", "5", "--ignore-stdin-eof"]);
        let mut client = instance.client("fix");
        client.call("pid", &json!({}));
        let members = tree(&instance);
        assert_eq!(members.len(), 7, "guard, server, five children");
        let servers = instance.home().join("servers");
        eventually("the record names everybody", SECOND * 3, || {
            let entries = std::fs::read_dir(&servers).expect("the records").flatten();
            let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
            texts.into_iter().any(|text| text.matches("\"identity\"").count() == members.len())
        });
        let over = AtomicBool::new(false);
        let daemon = daemon(&instance);
        let mut wanted = members.clone();
        if way != "kill the guard" {
            wanted.push(daemon.clone());
        }
        let strangers = std::thread::scope(|scope| {
            let thief = scope.spawn(|| take_all(&wanted, &over));
            match way {
                "stop" => drop(instance.ends(0, &["stop", "--timeout", "0"])),
                "restart" => drop(instance.ends(0, &["restart"])),
                "kill the daemon" => end(&daemon),
                "kill the guard" => end(&members[0]),
                _ => {
                    signal("STOP", members[0].pid);
                    end(&daemon);
                    end(&members[0]);
                    instance.ends(0, &["start"]);
                }
            }
            let gone = || members.iter().all(|one| identify(one.pid).as_ref() != Some(one));
            eventually(&format!("{way}: the tree is gone"), SECOND * 15, gone);
            instance.exai(&["start"]);
            instance.exai(&["cleanup", "--apply"]);
            instance.ends(0, &["stop", "--timeout", "0"]);
            over.store(true, Ordering::Relaxed);
            thief.join().expect("it took what it got")
        });
        let killed = strangers.values().filter(|stranger| !stranger.lives()).count();
        eprintln!("{way}: {} of {} pids taken over, {killed} strangers ended", strangers.len(), wanted.len());
        assert!(strangers.len() >= wanted.len() / 2, "{way}: nobody attacked");
        (taken_in_all, killed_in_all) = (taken_in_all + strangers.len(), killed_in_all + killed);
        drop(client);
    }
    eprintln!(
        "{taken_in_all} pids used again while their processes were ended: {killed_in_all} strangers ended"
    );
    assert_eq!(killed_in_all, 0);
}
