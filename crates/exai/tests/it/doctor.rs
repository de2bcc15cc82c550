//! `exai doctor`: the right check reports each problem, in time, whatever it finds; and the command changes nothing.

mod clients;
mod document;
mod files;
mod others;
mod providers;

use std::env::consts::EXE_EXTENSION;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exai_os::process::{self, Kill};
use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use crate::faults::put_away;
use crate::support::{Instance, LIMIT, text};
use crate::user_home::lead_home;

/// Checks whose result depends only on the machine: on other programs' servers, on its limits and on its disk.
const OF_THE_MACHINE: [&str; 4] = ["foreign-servers", "limits", "disk", "environment"];

/// Runs the command; returns its document and how long it took. The exit code must be 6 with findings, and 0 without.
#[track_caller]
fn doctor(instance: &Instance) -> (Value, Duration) {
    let started = Instant::now();
    let mut command = instance.command(&["doctor", "--json"]);
    // The clients of the machine are no matter of a test.
    lead_home(&mut command, &instance.dir().join("user"));
    let output = command.output().expect("exai runs");
    let took = started.elapsed();
    let out = text(&output.stdout);
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let expected = if document["ok"] == true { 0 } else { 6 };
    assert_eq!(output.status.code(), Some(expected), "{document}");
    (document, took)
}

#[track_caller]
fn check<'a>(document: &'a Value, id: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no check {id}"))
}

/// Runs the command, which may take 2 s besides the time it must wait, and expects this status and these words of one
/// check.
#[track_caller]
fn finds(instance: &Instance, id: &str, status: &str, words: &[&str]) -> Value {
    let (document, took) = doctor(instance);
    assert!(took < Duration::from_secs(6), "{took:?}");
    says(&document, id, status, words)
}

/// Expects this status and these words of one check.
#[track_caller]
fn says(document: &Value, id: &str, status: &str, words: &[&str]) -> Value {
    let found = check(document, id);
    assert_eq!(found["status"], status, "{found}");
    // As texts, not as JSON, in which a backslash is two.
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let said = format!("{} {}", text("detail"), text("fix"));
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    if matches!(status, "warn" | "fail") {
        assert!(found["fix"].is_string(), "what is wrong has a fix: {found}");
        assert_eq!(document["ok"], false);
    }
    found.clone()
}

/// Expects that no check reports a problem, except those that depend on the machine.
#[track_caller]
fn is_content(document: &Value) {
    for found in document["checks"].as_array().expect("checks") {
        let of_the_machine = OF_THE_MACHINE.iter().any(|id| found["id"] == *id);
        assert!(of_the_machine || found["status"] == "pass" || found["status"] == "skip", "{found}");
    }
}

/// The path and the size of everything in the state directory.
fn everything(instance: &Instance) -> Vec<(PathBuf, u64)> {
    fn walk(directory: &Path, all: &mut Vec<(PathBuf, u64)>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let found = entry.metadata().expect("an entry");
            all.push((entry.path(), found.len()));
            if found.is_dir() {
                walk(&entry.path(), all);
            }
        }
    }
    let mut all = Vec::new();
    walk(&instance.home(), &mut all);
    all.sort();
    all
}

fn daemon_pid(instance: &Instance) -> u32 {
    instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32
}

fn kill_daemon(instance: &Instance) {
    let identity = process::identify(daemon_pid(instance)).expect("the process list").expect("it lives");
    process::kill_verified(&identity, Kill::Force).expect("it can be killed");
    process::wait_gone(&identity, Instant::now() + LIMIT).expect("it can be waited for");
}

/// An instance that was started and stopped, so that its directory is private and has all its files.
fn stopped() -> Instance {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    instance.ends(0, &["stop"]);
    instance
}

/// Runs a Unix command for changes that the standard library cannot make.
#[track_caller]
fn shell(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().expect("it starts").success(), "{program} {args:?}");
}

/// A child that ends with the test.
struct Decoy(Child);

impl Drop for Decoy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes a free port into the configuration, and returns it.
fn on_port(instance: &Instance) -> u16 {
    let port = free_port();
    std::fs::write(instance.home().join("config.toml"), format!("[daemon]\nport = {port}\n"))
        .expect("config.toml");
    port
}

#[test]
fn up_and_down_there_is_nothing_to_find_and_nothing_is_changed() {
    let instance = stopped();
    let before = everything(&instance);
    let (down, took) = doctor(&instance);
    assert_eq!(everything(&instance), before, "it only reads");
    is_content(&down);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(check(&down, "daemon-answers")["status"], "skip");
    let mut client = instance.client("fix");
    client.call("echo", &json!({"message": "x"}));
    let (up, _) = doctor(&instance);
    is_content(&up);
    for id in ["daemon-lock", "daemon-identity", "daemon-answers", "version-skew", "port", "process-count"] {
        assert_eq!(check(&up, id)["status"], "pass", "{}", check(&up, id));
    }
    let pid = daemon_pid(&instance).to_string();
    // Windows does not say which process holds a lock.
    let holder = if cfg!(windows) { "instance.lock is held" } else { &pid };
    assert!(check(&up, "daemon-lock")["detail"].as_str().is_some_and(|text| text.contains(holder)));
    assert!(check(&up, "port")["detail"].as_str().is_some_and(|text| text.contains(&pid)));
}

#[test]
fn a_configuration_that_is_wrong_is_named_with_its_place() {
    let instance = stopped();
    let config = instance.home().join("config.toml");
    std::fs::write(&config, "[servers.x]\ncommand = 7\n").expect("config.toml");
    finds(
        &instance,
        "config",
        "fail",
        &["config.toml:2:", "a daemon starts with the last good configuration"],
    );
    std::fs::write(&config, [0xff, 0xfe, 0]).expect("config.toml");
    finds(&instance, "config", "fail", &["UTF-8"]);
    let missing = "[servers.gone]\ncommand = \"no-such-program-here\"\n\
                   [servers.needs]\ncommand = \"sh\"\nenv = { A = \"${env:EXAI_TEST_UNSET}\" }\n";
    std::fs::write(&config, missing).expect("config.toml");
    let (document, _) = doctor(&instance);
    let found = check(&document, "commands");
    assert!(found["status"] == "fail" || found["status"] == "warn", "{found}");
    let detail = found["detail"].as_str().expect("a sentence");
    assert!(detail.contains("no-such-program-here") && detail.contains("EXAI_TEST_UNSET"), "{detail}");
}

#[test]
fn a_record_that_outlived_its_daemon_is_stale() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    kill_daemon(&instance);
    finds(&instance, "daemon-identity", "warn", &["has ended", "exai start"]);
    finds(&instance, "daemon-lock", "pass", &["nobody holds"]);
    assert!(instance.home().join("daemon.json").exists(), "nothing was removed");
}

#[test]
fn a_pid_that_another_process_has_now_is_seen_and_left_alone() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    kill_daemon(&instance);
    let mut decoy = Decoy(exai_test::sleeper().spawn().expect("it starts"));
    let path = instance.home().join("daemon.json");
    let text = std::fs::read_to_string(&path).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("a record");
    record["pid"] = json!(decoy.0.id());
    record["identity"]["pid"] = json!(decoy.0.id());
    std::fs::write(&path, record.to_string()).expect("it is written");
    finds(&instance, "daemon-identity", "warn", &["another process now", "fixture-server"]);
    record["identity"]["boot"] = json!("earlier");
    std::fs::write(&path, record.to_string()).expect("it is written");
    finds(&instance, "daemon-identity", "warn", &["before the machine was started anew"]);
    assert!(decoy.0.try_wait().expect("it can be asked").is_none(), "the decoy lives");
}

#[test]
fn a_halted_daemon_is_called_so() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let pid = daemon_pid(&instance).to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().expect("kill runs");
    assert!(signal("-STOP").success());
    let found = finds(&instance, "daemon-answers", "fail", &["halted", "kill -CONT", "exai restart"]);
    assert!(signal("-CONT").success());
    assert!(found["detail"].as_str().is_some_and(|text| text.contains(&pid)));
    eventually("it answers again", LIMIT, || {
        check(&doctor(&instance).0, "daemon-answers")["status"] == "pass"
    });
}

#[test]
fn a_foreign_listener_is_named_by_doctor_and_by_the_daemon_and_the_port_taken_when_free() {
    let instance = stopped();
    let port = on_port(&instance);
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let me = std::process::id().to_string();
    finds(&instance, "port", "warn", &[&me, "another `port`"]);
    instance.ends(0, &["start"]);
    let degraded: Value = serde_json::from_str(&instance.ends(4, &["status", "--json"])).expect("a document");
    let finding = &degraded["findings"][0];
    assert_eq!(finding["id"], "port-held");
    assert!(
        finding["detail"].as_str().is_some_and(|text| text.contains(&format!("(pid {me})"))),
        "{finding}"
    );
    finds(&instance, "port", "warn", &[&me]);
    let freed = Instant::now();
    drop(listener);
    eventually("the port is taken", Duration::from_secs(5), || {
        instance.exai(&["status"]).status.code() == Some(0)
    });
    let took = freed.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    eprintln!("a stranger on the port is named; it is taken {took:.2?} after the stranger has left");
    assert_eq!(instance.status()["findings"], json!([]));
    finds(&instance, "port", "pass", &[&daemon_pid(&instance).to_string()]);
}

#[test]
fn the_earlier_daemon_in_python_is_recognised_and_not_touched() {
    let instance = stopped();
    let port = on_port(&instance);
    let scripts = instance.dir().join("scripts/ws");
    std::fs::create_dir_all(&scripts).expect("a directory");
    let script = scripts.join("run_ws_daemon.py");
    let code = "import socket, sys, time\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
                s.bind(('127.0.0.1', int(sys.argv[1])))\ns.listen()\ntime.sleep(120)\n";
    std::fs::write(&script, code).expect("a script");
    let mut command = Command::new(if cfg!(windows) { "python" } else { "python3" });
    command.arg(&script).arg(port.to_string()).arg("--token=s3cret").stdout(Stdio::null());
    let mut old = Decoy(command.spawn().expect("python starts"));
    let addr = format!("127.0.0.1:{port}").parse().expect("an address");
    eventually("it listens", LIMIT, || {
        exai_os::port::owner(addr).is_ok_and(|owner| owner == Some(old.0.id()))
    });
    let words = ["run_ws_daemon.py", "the earlier EXAI daemon, in Python", "ws_stop"];
    let found = finds(&instance, "port", "warn", &words);
    assert!(!found.to_string().contains("s3cret"));
    instance.ends(0, &["start"]);
    let said = instance.ends(4, &["status"]);
    assert!(said.contains("the earlier EXAI daemon, in Python") && !said.contains("s3cret"), "{said}");
    assert!(said.contains("docs/troubleshooting.md#port-held"), "{said}");
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(log.contains("the earlier EXAI daemon") && !log.contains("s3cret"), "{log}");
    instance.ends(0, &["stop"]);
    assert!(old.0.try_wait().expect("it can be asked").is_none(), "nobody touched it");
}

#[test]
fn a_daemon_whose_record_is_gone_is_found_by_its_lock() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let pid = daemon_pid(&instance);
    let path = instance.home().join("daemon.json");
    let record = std::fs::read(&path).expect("a record");
    let holder = if cfg!(windows) { "instance.lock is held".to_owned() } else { pid.to_string() };
    // The daemon writes its record again; on a busy machine it may do so before doctor looks.
    let mut document = Value::Null;
    eventually("doctor looks while the record is gone", LIMIT, || {
        // It is gone already if the daemon has not missed it yet.
        let _ = std::fs::remove_file(&path);
        document = doctor(&instance).0;
        check(&document, "daemon-answers")["status"] == "warn"
    });
    says(&document, "daemon-lock", "pass", &[&holder]);
    says(&document, "daemon-answers", "warn", &["daemon.json was damaged"]);
    std::fs::write(&path, record).expect("it is back, for `stop`");
}

#[test]
fn a_lock_that_a_stranger_holds_is_said() {
    let instance = stopped();
    let path = instance.home().join("instance.lock");
    let held = exai_os::lock::try_lock(&path).expect("the file").expect("it is free");
    let me = std::process::id().to_string();
    finds(&instance, "daemon-lock", "fail", &[&me, "not known as an exai daemon"]);
    drop(held);
    finds(&instance, "daemon-lock", "pass", &["nobody holds"]);
}

#[test]
fn an_executable_that_was_replaced_under_the_daemon_is_version_skew() {
    let instance = Instance::with_fixture(&[]);
    let copy = instance.dir().join("exai").with_extension(EXE_EXTENSION);
    std::fs::copy(exai_test::program("exai"), &copy).expect("a copy");
    let home = instance.home();
    assert!(
        Command::new(&copy).arg("start").env("EXAI_HOME", &home).output().expect("it runs").status.success()
    );
    finds(&instance, "version-skew", "pass", &[]);
    put_away(&copy);
    finds(&instance, "version-skew", "warn", &["deleted", "exai restart"]);
    std::fs::copy(exai_test::program("exai"), &copy).expect("a copy");
    finds(&instance, "version-skew", "warn", &["replaced", "exai restart"]);
}

/// In a container that shares the state directory, the daemon's process has no pid.
#[test]
fn in_another_process_namespace_it_says_where_it_stands() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let exai = exai_test::program("exai");
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc"]).arg(exai).args(["doctor", "--json"]);
    let output = inside.env("EXAI_HOME", instance.home()).output().expect("it runs");
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
        eprintln!("not tried: this account may make no process namespace: {}", text(&output.stderr));
        return;
    };
    for id in ["daemon-identity", "port"] {
        let found = check(&document, id);
        assert_eq!(found["status"], "skip", "{found}");
        let said = found["detail"].as_str().expect("a sentence");
        assert!(said.contains("another process namespace"), "{said}");
    }
    assert!(!document.to_string().contains("exai restart"), "{document}");
    finds(&instance, "daemon-identity", "pass", &[]);
}
