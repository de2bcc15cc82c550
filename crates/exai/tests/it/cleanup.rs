//! The leftovers of a dead daemon: `exai cleanup` shows them and ends them on demand, and the next daemon ends them
//! too.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use exai_os::process::{Identity, Kill, identify, kill_verified};
use exai_supervisor::record::{self, Containment, Recorded, SCHEMA, TreeRecord, TreeRole};
use exai_test::{eventually, sleeper};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, text};

/// A process of a test, which ends when this is dropped.
struct Sleeper {
    child: Child,
    identity: Identity,
}

impl Sleeper {
    fn start(mark: Option<&str>) -> Self {
        let mut command = sleeper();
        if let Some(mark) = mark {
            command.env("EXAI_OWNER", mark);
        }
        let child = command.spawn().expect("it starts");
        let identity = identify(child.id()).expect("the process table").expect("it lives");
        Sleeper { child, identity }
    }

    fn lives(&self) -> bool {
        identify(self.identity.pid).expect("the process table").as_ref() == Some(&self.identity)
    }

    fn dead() -> Identity {
        let mut sleeper = Sleeper::start(None);
        sleeper.child.kill().expect("it can be killed");
        sleeper.child.wait().expect("it can be waited for");
        sleeper.identity.clone()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two servers that a dead daemon left behind, and two processes that look like them.
struct Scene {
    instance: Instance,
    nonce: String,
    daemon: Identity,
    left: [Sleeper; 2],
    /// A record names the pid of this process, but with another start time.
    reused: Sleeper,
    /// The environment of this process names a tree.
    marked: Sleeper,
    records: [PathBuf; 2],
}

impl Scene {
    fn new() -> Self {
        let instance = Instance::with_fixture(&[]);
        let servers = instance.home().join("servers");
        std::fs::create_dir(&servers).expect("a directory");
        let daemon = Sleeper::dead();
        let nonce = format!("{:08x}{:08x}", daemon.pid, daemon.start & 0xFFFF_FFFF);
        let left = [Sleeper::start(None), Sleeper::start(None)];
        let reused = Sleeper::start(None);
        let marked = Sleeper::start(Some(&format!("{nonce}.fix#2")));
        let recorded = |identity: &Identity, place| Recorded {
            pid: identity.pid,
            identity: identity.clone(),
            place,
            name: "fixture-server".to_owned(),
        };
        let another = Identity { start: reused.identity.start + 1, ..reused.identity.clone() };
        let record = |number: u32, processes| TreeRecord {
            schema: SCHEMA,
            instance: nonce.clone(),
            daemon: daemon.clone(),
            server: "fix".to_owned(),
            id: format!("fix#{number}"),
            started_at: "2026-11-23T10:00:00Z".to_owned(),
            containment: Containment::Strict,
            processes,
        };
        let first = vec![recorded(&left[0].identity, TreeRole::Root), recorded(&another, TreeRole::Member)];
        let trees = [record(1, first), record(2, vec![recorded(&left[1].identity, TreeRole::Root)])];
        let records = trees.map(|tree| {
            tree.write(&servers).expect("a record is written");
            record::path(&servers, &tree.id, &nonce)
        });
        Scene { instance, nonce, daemon, left, reused, marked, records }
    }

    fn cleanup(&self, code: i32, args: &[&str]) -> Value {
        let out = self.instance.ends(code, &[&["cleanup", "--json"], args].concat());
        serde_json::from_str(&out).expect("a document")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.instance.home().join("log/daemon.log")).unwrap_or_default()
    }
}

/// The part of the document about this process.
fn about<'a>(document: &'a Value, sleeper: &Sleeper) -> &'a Value {
    let found = document["found"].as_array().expect("findings");
    let pid = json!(sleeper.identity.pid);
    found.iter().find(|found| found["pid"] == pid).unwrap_or_else(|| panic!("no {pid} in {document}"))
}

#[test]
fn a_dry_run_changes_nothing_and_apply_ends_what_is_proven() {
    let scene = Scene::new();
    let home = scene.instance.home();
    let record = json!({"schema": 1, "pid": scene.daemon.pid, "instance": scene.nonce, "identity": scene.daemon,
        "started_at": "2026-11-23T10:00:00Z", "version": "0", "exe": "/x", "launchers": [], "listeners": []});
    let stale = [home.join("daemon.json"), home.join(".config.toml.1.18ab.0.tmp")];
    std::fs::write(&stale[0], record.to_string()).expect("a record");
    std::fs::write(&stale[1], "half").expect("a file");
    let old = std::fs::File::options().write(true).open(&stale[1]).expect("the file");
    old.set_modified(SystemTime::now() - Duration::from_secs(100)).expect("its time is set");
    // On Windows an open file keeps its name even when it is removed.
    drop(old);
    let person = home.join("notes.tmp");
    std::fs::write(&person, "a person's").expect("a file");

    let start = Instant::now();
    let plan = scene.cleanup(6, &[]);
    let looked = start.elapsed();
    assert_eq!(
        (&plan["schema"], &plan["applied"], &plan["freed_bytes"]),
        (&json!(1), &json!(false), &json!(0))
    );
    for sleeper in &scene.left {
        let found = about(&plan, sleeper);
        assert_eq!((&found["kind"], &found["action"]), (&json!("process"), &json!("kill")));
        assert!(found["proof"].as_str().is_some_and(|proof| proof.contains("its identity")), "{found}");
        assert!(found["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 0) && found.get("outcome").is_none());
        assert!(sleeper.lives());
    }
    let decoy = about(&plan, &scene.reused);
    assert_eq!((&decoy["action"], decoy.get("proof")), (&json!("leave"), None));
    assert_eq!(decoy["reason"], "identity does not match the record");
    assert_eq!(about(&plan, &scene.marked)["action"], "leave");
    let action = |document: &Value, path: &PathBuf| {
        let found = document["found"].as_array().expect("findings");
        let path = json!(path);
        found.iter().find(|found| found["path"] == path).map(|found| found["action"].clone())
    };
    assert_eq!(action(&plan, &scene.records[0]), Some(json!("remove")));
    assert_eq!(action(&plan, &scene.records[1]), Some(json!("leave")), "it stays because of the marked one");
    assert_eq!(
        stale.clone().map(|path| action(&plan, &path)),
        [Some(json!("remove")), Some(json!("remove"))]
    );
    assert_eq!(action(&plan, &person), None);
    assert!(stale.iter().chain(&scene.records).all(|path| path.exists()), "a dry run changes nothing");

    let said = scene.instance.ends(6, &["cleanup"]);
    let first = said.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "2 processes and 3 files were left behind by a daemon that died; `exai cleanup --apply` ends and removes them"
    );
    let done = scene.cleanup(6, &["--apply"]);
    assert_eq!(done["applied"], true);
    assert!(done["freed_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{done}");
    for sleeper in &scene.left {
        assert_eq!(about(&done, sleeper)["outcome"], "ended");
        assert!(!sleeper.lives());
    }
    assert!(scene.reused.lives() && scene.marked.lives(), "decoys are alive");
    assert!(!scene.records[0].exists() && scene.records[1].exists() && person.exists());
    assert!(!stale.iter().any(|path| path.exists()));

    // The last process that could not be proven ends by itself.
    drop(scene.marked);
    scene.instance.ends(0, &["cleanup", "--apply"]);
    assert!(!scene.records[1].exists());
    assert_eq!(scene.instance.ends(0, &["cleanup"]), "nothing was left behind\n");
    assert!(looked < Duration::from_secs(2), "{looked:?}");
}

#[test]
fn the_next_daemon_ends_what_the_last_one_left_before_it_starts_a_server() {
    let scene = Scene::new();
    let mut client = scene.instance.client("fix");
    assert_eq!(client.call("echo", &json!({"message": "hi"})), "hi");
    assert!(!scene.left.iter().any(Sleeper::lives), "a server runs, so the leftovers have gone");
    assert!(scene.reused.lives() && scene.marked.lives());
    eventually("the log has a line for each", LIMIT, || {
        let log = scene.log();
        let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        lines("ended a process that an earlier daemon left behind") == 2 && lines("left a process alone") == 2
    });
    // The living daemon's own processes are no findings, but the unproven process still is one.
    let plan = scene.cleanup(6, &[]);
    assert_eq!(plan["found"].as_array().map(Vec::len), Some(2), "{plan}");
    assert_eq!(about(&plan, &scene.marked)["action"], "leave");
    assert_eq!(client.call("echo", &json!({"message": "still"})), "still");
}

#[test]
fn a_running_or_wedged_daemon_is_not_touched_and_a_killed_ones_socket_goes() {
    let instance = Instance::with_fixture(&[]);
    assert_eq!(instance.ends(0, &["cleanup", "--apply"]), "nothing was left behind\n");
    let mut client = instance.client("fix");
    assert_eq!(instance.ends(0, &["cleanup", "--apply"]), "nothing was left behind\n");
    assert_eq!(client.call("echo", &json!({"message": "hi"})), "hi");
    drop(client);
    let status = instance.status();
    let pid = status["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let daemon = identify(pid).expect("the process table").expect("the daemon lives");

    // Windows cannot freeze a process.
    if !cfg!(windows) {
        let signal = |name: &str| {
            let done = Command::new("kill").args([name, &pid.to_string()]).status();
            assert!(done.is_ok_and(|status| status.success()));
        };
        signal("-STOP");
        let start = Instant::now();
        let output = instance.exai(&["cleanup", "--apply"]);
        let took = start.elapsed();
        signal("-CONT");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("exai restart"), "{}", text(&output.stderr));
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(instance.status()["daemon"]["pid"], pid);
    }

    kill_verified(&daemon, Kill::Force).expect("it can be killed");
    assert!(exai_os::process::wait_gone(&daemon, Instant::now() + LIMIT).expect("a wait"));
    let record = instance.home().join("daemon.json");
    let sockets = || exai_os::local::Endpoint::sockets(&instance.home()).expect("a look").len();
    // On Windows the pipe of a daemon ends with the daemon.
    let left = usize::from(!cfg!(windows));
    assert!(record.exists() && sockets() == left);
    eventually("the daemon's servers and their guards are gone", LIMIT, || {
        let document = instance.exai(&["cleanup", "--json"]);
        !text(&document.stdout).contains("\"process\"")
    });
    instance.ends(6, &["cleanup"]);
    let said = instance.ends(0, &["cleanup", "--apply"]);
    assert!(said.starts_with("cleaned up: "), "{said}");
    assert!(!record.exists() && sockets() == 0);
    assert_eq!(instance.ends(0, &["cleanup"]), "nothing was left behind\n");
}

#[test]
fn what_stands_in_the_place_of_our_files_is_told_and_left() {
    let instance = Instance::with_fixture(&[]);
    let record = instance.home().join("daemon.json");
    std::fs::create_dir(&record).expect("a directory");
    let start = Instant::now();
    let said = instance.ends(6, &["cleanup", "--apply"]);
    assert!(said.contains("no file of ours") && record.is_dir(), "{said}");
    assert!(start.elapsed() < Duration::from_secs(2));
    std::fs::remove_dir(&record).expect("it is empty");

    let run = |line: &[&str]| {
        let status = Command::new(line[0]).args(&line[1..]).current_dir(instance.home()).status();
        status.is_ok_and(|status| status.success())
    };
    for line in [["mkfifo", "daemon.json"].as_slice(), &["ln", "-s", "/dev/zero", "daemon.json"]] {
        if run(line) {
            instance.ends(6, &["cleanup", "--apply"]);
            assert!(std::fs::symlink_metadata(&record).is_ok());
            std::fs::remove_file(&record).expect("it can be removed");
        }
    }
    if run(&["chown", "65534", "."]) {
        instance.ends(5, &["cleanup"]);
        instance.ends(5, &["cleanup", "--apply", "--json"]);
        assert!(run(&["chown", "0", "."]));
    }
}

#[test]
fn where_there_is_no_state_directory_nothing_was_left_and_none_is_made() {
    let instance = Instance::with_fixture(&[]);
    std::fs::remove_dir_all(instance.home()).expect("it can be removed");
    let document: Value =
        serde_json::from_str(&instance.ends(0, &["cleanup", "--json"])).expect("a document");
    assert_eq!(document, json!({"schema": 1, "applied": false, "found": [], "freed_bytes": 0}));
    assert!(!instance.home().exists());
}

/// Fault test 18: daemon and guard are killed at the same moment, so that neither of them ends the tree.
#[test]
fn a_daemon_and_its_guard_that_die_together_leave_a_tree_that_the_next_daemon_ends() {
    let instance = Instance::with_fixture(&["--ignore-stdin-eof", "--children", "2"]);
    let client = instance.client("fix");
    let daemon = instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let shown = &instance.status()["servers"][0]["instances"][0];
    let [guard, root] = ["guard_pid", "root_pid"].map(|key| shown[key].as_u64().map(|pid| pid as u32));
    let (Some(guard), Some(root)) = (guard, root) else { return }; // Windows has no guards
    let identity = |pid| identify(pid).expect("the process table").expect("it lives");
    let group = || {
        let all = exai_os::process::snapshot().expect("the process table");
        let living = all.into_iter().filter(|row| row.pgid == root && !row.zombie);
        living.map(|row| identity(row.pid)).collect::<Vec<_>>()
    };
    eventually("the whole tree is there", LIMIT, || group().len() == 3);
    let tree = group();
    let lives = |who: &Identity| identify(who.pid).expect("the process table").as_ref() == Some(who);
    // The shim would start the daemon again.
    drop(client);
    let (daemon, guard) = (identity(daemon), identity(guard));
    // A stopped guard cannot use the moment between the two kills.
    let stopped = Command::new("kill").args(["-STOP", &guard.pid.to_string()]).status();
    assert!(stopped.is_ok_and(|done| done.success()));
    for who in [&daemon, &guard] {
        kill_verified(who, Kill::Force).expect("it can be killed");
        assert!(exai_os::process::wait_gone(who, Instant::now() + LIMIT).expect("a wait"));
    }
    assert!(tree.iter().all(lives), "nobody ended them");
    let decoy = Sleeper::start(None);

    let said = instance.ends(6, &["cleanup"]);
    assert!(said.starts_with("3 processes and "), "{said}");
    let start = Instant::now();
    let mut client = instance.client("fix");
    assert_eq!(client.call("echo", &json!({"message": "hi"})), "hi");
    let took = start.elapsed();
    assert!(!tree.iter().any(lives), "the old tree ended before the new server started");
    assert!(decoy.lives() && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(instance.ends(0, &["cleanup"]), "nothing was left behind\n");
}
