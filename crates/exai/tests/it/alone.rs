//! One daemon, however it is started, and whatever happens while it starts, serves and ends.
//!
//! What there is, is known by the environment of each process. Signals are sent by `kill`, where there is one.

mod files;
mod forged;
mod frozen;
mod racing;
mod shortage;
mod stumbling;

use std::env::consts::EXE_SUFFIX;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use exai_os::process::{self, Kill};
use exai_test::eventually;
use serde_json::Value;

use crate::support::{Instance, LIMIT, text};

const SECOND: Duration = Duration::from_secs(1);

/// The living processes that work for this state directory, servers too, each with its name.
fn everything(instance: &Instance) -> Vec<(u32, String)> {
    let home = instance.home();
    let ours = |pid: u32| {
        // Others' cannot be read, and some end meanwhile.
        let theirs = exai_os::process_facts::environment_variable(pid, "EXAI_HOME").ok().flatten();
        theirs.as_deref() == home.to_str()
    };
    let living = process::snapshot().expect("the process list").into_iter().filter(|found| !found.zombie);
    living.filter(|found| ours(found.pid)).map(|found| (found.pid, found.name)).collect()
}

/// Those of them that are exai, each with its command line.
fn processes(instance: &Instance) -> Vec<(u32, String)> {
    let exai =
        everything(instance).into_iter().filter(|(_, name)| name.strip_suffix(EXE_SUFFIX) == Some("exai"));
    exai.map(|(pid, _)| (pid, process::command_line(pid).unwrap_or_default().join(" "))).collect()
}

/// Those of them that are daemons.
fn daemons(instance: &Instance) -> Vec<u32> {
    let all = processes(instance).into_iter();
    all.filter(|(_, command)| command.contains(" serve")).map(|(pid, _)| pid).collect()
}

/// `exai status --json`, whatever its exit code.
fn look(instance: &Instance) -> Value {
    let output = instance.exai(&["status", "--json"]);
    let said = text(&output.stdout);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", text(&output.stderr)))
}

fn state(instance: &Instance) -> String {
    look(instance)["state"].as_str().unwrap_or_default().to_owned()
}

fn pid(instance: &Instance) -> u32 {
    instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32
}

fn end(pid: u32) {
    let Some(identity) = process::identify(pid).expect("the process list") else { return };
    process::kill_verified(&identity, Kill::Force).expect("it can be killed");
    let gone = process::wait_gone(&identity, Instant::now() + LIMIT).expect("it can be waited for");
    assert!(gone, "pid {pid} outlives SIGKILL");
}

fn signal(pid: u32, name: &str) {
    run(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

/// The next plain start leads to exactly one daemon, and the stop after it to nothing.
#[track_caller]
fn comes_and_goes(instance: &Instance, what: &str) {
    let started = instance.exai(&["start"]);
    assert!(started.status.success(), "{what}: start: {}", text(&started.stderr));
    // A daemon on a busy machine may need more than two seconds for its first answer, and counts as wedged until then.
    eventually(&format!("{what}: the daemon is running"), LIMIT, || state(instance) == "running");
    assert_eq!(daemons(instance), [pid(instance)], "{what}");
    let stopped = instance.exai(&["stop"]);
    assert!(stopped.status.success(), "{what}: stop: {}", text(&stopped.stderr));
    nothing_is_left(instance, what);
}

#[track_caller]
fn nothing_is_left(instance: &Instance, what: &str) {
    eventually(&format!("{what}: no process is left"), SECOND * 2, || processes(instance).is_empty());
    assert_eq!(state(instance), "stopped", "{what}");
    assert_eq!(sockets(&instance.home()), 0, "{what}: a socket is left");
}

fn sockets(home: &Path) -> usize {
    let entries = std::fs::read_dir(home).expect("a state directory");
    entries.filter(|entry| entry.as_ref().is_ok_and(|entry| is_socket(&entry.path()))).count()
}

fn is_socket(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sock")
}
