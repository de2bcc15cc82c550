//! Records that name processes which are not the daemon. exai must never signal any of these processes.

use std::process::Child;
use std::time::Instant;

use exai_os::{lock, process};
use serde_json::{Value, json};

use super::{comes_and_goes, daemons, end, look, pid, state};
use crate::support::{Instance, text};

/// A process of this account that has nothing to do with exai.
struct Decoy(Child);

impl Decoy {
    fn new() -> Self {
        Decoy(exai_test::sleeper().spawn().expect("it starts"))
    }

    fn identity(&self) -> process::Identity {
        process::identify(self.0.id()).expect("the process list").expect("it lives")
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("it can be asked").is_none()
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The record that a dead daemon wrote.
fn record_of_a_dead_daemon(instance: &Instance) -> Value {
    instance.ends(0, &["start"]);
    let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
    end(pid(instance));
    serde_json::from_slice(&record).expect("a document")
}

fn write(instance: &Instance, record: &Value) {
    std::fs::write(instance.home().join("daemon.json"), record.to_string()).expect("a record");
}

#[test]
fn a_pid_used_again_is_never_signalled() {
    let instance = Instance::new("");
    let mut decoy = Decoy::new();
    let mut record = record_of_a_dead_daemon(&instance);
    let theirs = decoy.identity();
    let cases = [
        ("a pid used again", record["identity"]["boot"].clone(), json!(theirs.start + 1)),
        ("another boot", json!("00000000-0000-0000-0000-000000000000"), json!(theirs.start)),
        ("even its true identity", json!(theirs.boot), json!(theirs.start)),
    ];
    for (what, boot, start) in cases {
        record["pid"] = json!(theirs.pid);
        record["identity"] = json!({"boot": boot, "pid": theirs.pid, "start": start});
        write(&instance, &record);
        let begun = Instant::now();
        let status = look(&instance);
        assert_eq!(status["state"], "stale", "{what}: {status}");
        instance.ends(0, &["stop"]);
        assert!(decoy.lives(), "{what}");
        write(&instance, &record);
        comes_and_goes(&instance, what);
        write(&instance, &record);
        instance.ends(0, &["restart"]);
        assert_ne!(pid(&instance), theirs.pid);
        instance.ends(0, &["stop"]);
        assert!(decoy.lives(), "{what}");
        let took = begun.elapsed();
        eprintln!("{what}: stale; status, start, restart and 3 stops in {took:.2?}, 0 signals");
    }
}

#[test]
fn a_pid_that_cannot_be_is_no_trouble() {
    let instance = Instance::new("");
    let mut record = record_of_a_dead_daemon(&instance);
    for pid in [0_u64, 1, u64::from(std::process::id()), 4_000_000_000, 9_999_999_999_999] {
        record["pid"] = json!(pid);
        record["identity"]["pid"] = json!(pid);
        write(&instance, &record);
        instance.ends(0, &["stop"]);
        comes_and_goes(&instance, &format!("pid {pid}"));
    }
}

/// The record of a daemon that answers names another process. The commands must address the daemon that answers.
#[test]
fn a_record_that_names_a_stranger_in_the_place_of_a_living_daemon_ends_nobody_else() {
    let instance = Instance::new("");
    let mut decoy = Decoy::new();
    let theirs = decoy.identity();
    for command in ["stop", "restart"] {
        instance.ends(0, &["start"]);
        let daemon = pid(&instance);
        let ours = process::identify(daemon).expect("the process list").expect("it lives");
        let good = std::fs::read(instance.home().join("daemon.json")).expect("a record");
        let mut record: Value = serde_json::from_slice(&good).expect("a document");
        for (what, pid, start) in
            [("a stranger", theirs.pid, theirs.start), ("another start", ours.pid, ours.start + 1)]
        {
            if process::identify(ours.pid).expect("the process list").as_ref() != Some(&ours) {
                continue; // the first round has ended this daemon
            }
            record["pid"] = json!(pid);
            record["identity"] = json!({"boot": theirs.boot, "pid": pid, "start": start});
            write(&instance, &record);
            instance.ends(0, &[command]);
            assert!(decoy.lives(), "{command}: {what}");
            let gone = process::wait_gone(&ours, Instant::now() + super::SECOND).expect("the process list");
            assert!(gone, "{command}: {what}: the daemon was meant");
        }
        assert_eq!(state(&instance), if command == "stop" { "stopped" } else { "running" });
        instance.ends(0, &["stop"]);
    }
}

/// The record of another state directory's daemon must be ignored, whether this directory has a living daemon or not.
#[test]
fn the_record_of_another_directory_redirects_nobody() {
    let (ours, theirs) = (Instance::new(""), Instance::new(""));
    theirs.ends(0, &["start"]);
    let foreign = pid(&theirs);
    let copy = std::fs::read(theirs.home().join("daemon.json")).expect("a record");
    let put = || std::fs::write(ours.home().join("daemon.json"), &copy).expect("a record");
    put();
    assert_eq!(state(&ours), "stopped");
    ours.ends(0, &["stop"]);
    assert_eq!(pid(&theirs), foreign);
    put();
    comes_and_goes(&ours, "beside the other's record");
    for command in ["status", "stop"] {
        ours.ends(0, &["start"]);
        let own = pid(&ours);
        put();
        if command == "status" {
            let seen = look(&ours);
            assert_ne!(seen["daemon"]["pid"], json!(foreign), "{seen}");
            assert_eq!(daemons(&ours), [own]);
        }
        put();
        ours.ends(0, &["stop"]);
        assert!(daemons(&ours).is_empty(), "its own daemon was meant");
        assert_eq!(pid(&theirs), foreign, "{command}");
    }
}

/// One program holds the lock file, and the record names another one.
#[test]
fn who_holds_the_lock_is_believed_more_than_a_record() {
    let instance = Instance::new("");
    let mut decoy = Decoy::new();
    let mut record = record_of_a_dead_daemon(&instance);
    let theirs = decoy.identity();
    record["pid"] = json!(theirs.pid);
    record["identity"] = json!({"boot": theirs.boot, "pid": theirs.pid, "start": theirs.start});
    write(&instance, &record);
    let lock = instance.home().join("instance.lock");
    // The last thread of a killed process may end a moment after its first thread, and the lock with it.
    let soon = Instant::now() + super::SECOND;
    let held = lock::lock_until(&lock, soon).expect("the lock file").expect("a free lock");
    let output = instance.exai(&["stop", "--timeout", "0"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("and has not said who it is"), "{said}");
    assert!(decoy.lives());
    // Without a record, exai names the holder where the system tells it. Here the holder is this test.
    std::fs::remove_file(instance.home().join("daemon.json")).expect("a record");
    let output = instance.exai(&["stop", "--timeout", "0"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let holder =
        if cfg!(windows) { "a process holds".to_owned() } else { format!("(pid {})", std::process::id()) };
    assert!(said.contains(&holder), "{said}");
    drop(held);
    assert!(daemons(&instance).is_empty());
    comes_and_goes(&instance, "with the lock free again");
}

/// Without a second authority, a daemon whose lock file belongs to another process ends, and touches nothing.
#[test]
fn a_daemon_that_has_lost_its_lock_for_good_gives_way() {
    let instance = Instance::new("");
    let mut start = instance.command(&["start"]);
    assert!(
        start
            .env(exai_os::failpoint::VARIABLE, "daemon.claim=error")
            .output()
            .expect("it runs")
            .status
            .success()
    );
    let lost = pid(&instance);
    let lock = instance.home().join("instance.lock");
    std::fs::remove_file(&lock).expect("the lock file");
    let held = lock::try_lock(&lock).expect("the lock file").expect("a new lock");
    let begun = Instant::now();
    exai_test::eventually("it gives way", super::SECOND * 20, || daemons(&instance).is_empty());
    eprintln!("a daemon (pid {lost}) that lost its lock gave way after {:.1?}", begun.elapsed());
    assert!(held.still_named().expect("the lock file"), "it touched nothing");
    drop(held);
    comes_and_goes(&instance, "after that");
}
