//! The faults of `docs/fault-tests.md` that no other test covers, with one test per number.

#[cfg(target_os = "linux")]
mod accounts;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod reuse;

use std::env::consts::EXE_EXTENSION;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exai_os::process::{self, Identity, Kill};
use exai_test::{eventually, program, sleeper};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT, fixture, text};

const SECOND: Duration = Duration::from_secs(1);

/// A process that a test starts beside exai, and that ends with the test.
struct Stranger {
    child: Child,
    identity: Identity,
}

impl Stranger {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let identity = identify(child.id()).expect("it lives");
        Stranger { child, identity }
    }

    fn lives(&self) -> bool {
        identify(self.identity.pid).as_ref() == Some(&self.identity)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn identify(pid: u32) -> Option<Identity> {
    process::identify(pid).expect("the process table")
}

pub(crate) fn end(identity: &Identity) {
    process::kill_verified(identity, Kill::Force).expect("it can be killed");
    assert!(process::wait_gone(identity, Instant::now() + LIMIT).expect("it can be waited for"));
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_else(|| panic!("{value} is no pid"))
}

pub(crate) fn daemon(instance: &Instance) -> Identity {
    identify(number(&instance.status()["daemon"]["pid"])).expect("the daemon lives")
}

/// The tree of the only server. Where there are guards, the guard is the first.
fn tree(instance: &Instance) -> Vec<Identity> {
    let shown = &instance.status()["servers"][0]["instances"][0];
    let first = number(&shown[if cfg!(windows) { "root_pid" } else { "guard_pid" }]);
    let all = process::snapshot().expect("the process table");
    let below = process::descendants(&all, first).into_iter();
    // Windows adds a process of its own for each console.
    let below = below.filter(|one| !one.zombie && one.name != "conhost.exe");
    let pids = std::iter::once(first).chain(below.map(|one| one.pid));
    pids.filter_map(identify).collect()
}

fn record(instance: &Instance) -> Value {
    let bytes = std::fs::read(instance.home().join("daemon.json")).expect("a record");
    serde_json::from_slice(&bytes).expect("a document")
}

/// Fault 13: A daemon counts as gone only when it holds nothing any more.
#[test]
fn a_daemon_that_is_gone_holds_nothing() {
    let instance = Instance::new("");
    let (rounds, mut held) = (30, 0);
    for _ in 0..rounds {
        instance.ends(0, &["start"]);
        // By now the daemon has read the environment of the account, for which it starts a shell.
        instance.ends(0, &["status"]);
        end(&daemon(&instance));
        let lock = instance.home().join("instance.lock");
        held += u32::from(exai_os::lock::is_held(&lock).expect("the lock file"));
        held += u32::from(exai_os::lock::is_claimed(&instance.home()).expect("the second authority"));
    }
    eprintln!("{rounds} daemons killed: {held} locks held by who was called gone");
    assert_eq!(held, 0);
}

/// Fault 20: An application that another process has started for a server's child: it has the marker of the tree and a
/// session of its own, but is no member of the tree.
#[test]
fn an_application_with_the_marker_of_a_tree_survives_whatever_ends_the_tree() {
    let instance = Instance::with_fixture(&["--children", "2"]);
    let mut client = instance.client("fix");
    client.call("pid", &json!({}));
    let root = number(&instance.status()["servers"][0]["instances"][0]["root_pid"]);
    let owner = exai_os::process_facts::environment_variable(root, "EXAI_OWNER").expect("its environment");
    let application = || {
        let mut command = if cfg!(windows) { sleeper() } else { Command::new("setsid") };
        if !cfg!(windows) {
            command.arg(program("fixture-server")).arg("--sleep");
        }
        command.env("EXAI_HOME", instance.home()).env("EXAI_OWNER", owner.as_ref().expect("a marker"));
        Stranger::start(&mut command)
    };
    let (first, second) = (application(), application());
    let members = tree(&instance);
    assert_eq!(members.len(), 3 + usize::from(!cfg!(windows)), "server, two children, and guard");
    end(&daemon(&instance));
    eventually("the tree is gone", SECOND, || !members.iter().any(|one| identify(one.pid).is_some()));
    assert_eq!(client.call("echo", &json!({"message": "again"})), "again");
    drop(client);
    instance.ends(0, &["restart"]);
    instance.ends(0, &["stop"]);
    instance.exai(&["cleanup", "--apply"]);
    assert!(first.lives() && second.lives());
    eprintln!("2 applications with the marker outlive a killed daemon, restart, stop and cleanup");
}

/// Fault 28: Twenty shims lose their daemon, each at another point of its conversation.
#[test]
fn twenty_shims_lose_their_daemon_and_nothing_is_done_twice() {
    for way in ["kill -9", "restart"] {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = dir.path().join("ledger");
        let instance = Instance::with_fixture(&["--ledger", ledger.to_str().expect("a path")]);
        let mut shims: Vec<Client> = (0..20).map(|_| instance.client("fix")).collect();
        let executed = || std::fs::read_to_string(&ledger).unwrap_or_default();
        // A restarting daemon waits for the calls under way, so these calls must end by themselves.
        let call = |label: &str| {
            let arguments = json!({"label": label, "message": label, "ms": 500});
            json!({"name": if way == "restart" { "delay" } else { "hang" }, "arguments": arguments})
        };
        let echo = |label: &str| json!({"name": "echo", "arguments": {"message": label}});
        // The shims 0 to 4 are idle. The calls of the shims 5 to 9 have reached the server.
        let mut asked: Vec<(usize, Value)> = Vec::new();
        for (at, shim) in shims.iter_mut().enumerate().take(10).skip(5) {
            asked.push((at, shim.request("tools/call", &call(&format!("executed {at}")))));
        }
        eventually("they are executed", LIMIT, || executed().lines().count() == 5);
        let killed = daemon(&instance);
        // Windows cannot freeze a process.
        if way == "kill -9" && !cfg!(windows) {
            // The shims 10 to 14 write their requests, but the frozen daemon does not read them.
            signal("STOP", killed.pid);
            for (at, shim) in shims.iter_mut().enumerate().take(15).skip(10) {
                let params = if at < 13 { echo(&format!("written {at}")) } else { json!({}) };
                asked.push((at, shim.request(if at < 13 { "tools/call" } else { "tools/list" }, &params)));
                shim.flush();
            }
        }
        let begun = Instant::now();
        if way == "kill -9" {
            end(&killed);
        } else {
            instance.ends(0, &["restart"]);
        }
        let unsent: Vec<(usize, Value)> =
            (15..20).map(|at| (at, shims[at].request("tools/call", &echo(&format!("later {at}"))))).collect();
        for (at, id) in asked {
            let answer = shims[at].answer(&id);
            if way == "restart" {
                let said = &answer["result"]["content"][0]["text"];
                assert_eq!(*said, format!("executed {at}"), "{way}: shim {at}: {answer}");
            } else if at < 13 {
                assert_eq!(answer["error"]["code"], -31002, "{way}: shim {at}: {answer}");
            } else {
                // Asking for a list twice does no harm, so the shim asks the next daemon.
                assert!(answer["result"]["tools"].is_array(), "{way}: shim {at}: {answer}");
            }
        }
        for (at, id) in unsent {
            let answer = shims[at].answer(&id);
            assert_eq!(answer["result"]["content"][0]["text"], format!("later {at}"), "{way}: {answer}");
        }
        for (at, shim) in shims.iter_mut().enumerate() {
            assert_eq!(shim.call("echo", &json!({"message": format!("end {at}")})), format!("end {at}"));
        }
        let took = begun.elapsed();
        let all = executed();
        let times = |label: &str| all.matches(label).count();
        for at in 0..20 {
            assert_eq!(times(&format!("\"end {at}\"")), 1, "{way}");
            assert_eq!(
                times(&format!("\"label\":\"executed {at}\"")),
                usize::from((5..10).contains(&at)),
                "{way}"
            );
            assert_eq!(times(&format!("\"later {at}\"")), usize::from(at >= 15), "{way}");
            assert_eq!(
                times(&format!("\"written {at}\"")),
                0,
                "{way}: told as perhaps executed, and was not"
            );
        }
        assert_ne!(daemon(&instance), killed);
        eprintln!(
            "{way} under 20 shims: all answered and at work again after {took:.2?}, nothing executed twice"
        );
    }
}

pub(crate) fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(done.expect("kill runs").success());
}

/// Moves a running program away from its path.
pub(crate) fn put_away(program: &Path) {
    // Windows does not remove the file of a running program.
    if cfg!(windows) {
        std::fs::rename(program, program.with_extension("old")).expect("it is renamed");
    } else {
        std::fs::remove_file(program).expect("it is removed");
    }
}

/// Fault 30: The file of the running program is removed or replaced, as a package manager does it.
#[test]
fn a_removed_or_replaced_executable_is_in_nobodys_way() {
    // On Windows a process knows its program only by the path, so the path must lead to a program.
    let ways: &[bool] = if cfg!(windows) { &[true] } else { &[false, true] };
    for &replaced in ways {
        let instance = Instance::with_fixture(&[]);
        let copy = instance.dir().join("exai").with_extension(EXE_EXTENSION);
        std::fs::copy(program("exai"), &copy).expect("a copy");
        let mut command = Command::new(&copy);
        command.args(["shim", "--server", "fix"]).env("EXAI_HOME", instance.home());
        let mut shim = Client::start(command);
        shim.initialize(&json!({}));
        assert_eq!(record(&instance)["exe"], json!(copy.to_str()), "the shim has started its own");
        put_away(&copy);
        if replaced {
            std::fs::copy(program("exai"), &copy).expect("a copy");
        }
        // First, exai starts a guard from this file.
        let server = number(&instance.status()["servers"][0]["instances"][0]["root_pid"]);
        end(&identify(server).expect("the server lives"));
        eventually("another server answers", LIMIT, || {
            let answer = shim.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "x"}}));
            answer.get("result").is_some()
        });
        // Then the shim starts the next daemon from it.
        let killed = daemon(&instance);
        end(&killed);
        let begun = Instant::now();
        assert_eq!(shim.call("echo", &json!({"message": "back"})), "back");
        let next = daemon(&instance);
        assert_ne!(next, killed);
        let name =
            process::snapshot().expect("the process table").into_iter().find(|one| one.pid == next.pid);
        let name = name.expect("it lives").name;
        if !cfg!(windows) {
            assert_eq!(name, "exai", "it is known by its name");
        }
        eprintln!("replaced: {replaced}; served by a new daemon {:.2?} after the kill", begun.elapsed());
        // Then a person restarts the daemon with another file.
        instance.ends(0, &["restart"]);
        assert_eq!(shim.call("echo", &json!({"message": "again"})), "again");
        instance.ends(0, &["stop"]);
    }
}

/// Fault 36: One server does not answer `initialize` for as long as it may: all other servers work.
#[test]
fn a_server_that_hangs_in_its_opening_keeps_nobody_else_waiting() {
    let servers =
        fixture("hangs", &["--hang-at-start"]) + "start_timeout = \"60s\"\n" + &fixture("fine", &[]);
    let instance = Instance::new(&servers);
    let mut fine = instance.client("fine");
    fine.call("pid", &json!({}));
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}});
    let mut waiting: Vec<Client> = (0..5).map(|_| instance.shim(&["--server", "hangs"])).collect();
    for shim in &mut waiting {
        shim.request("initialize", &hello);
    }
    eventually("it is being started", LIMIT, || {
        instance.status()["servers"].to_string().contains("starting")
    });
    let (mut longest_call, mut longest_shim) = (Duration::ZERO, Duration::ZERO);
    for round in 0..20 {
        let begun = Instant::now();
        assert_eq!(fine.call("echo", &json!({"message": "x"})), "x");
        longest_call = longest_call.max(begun.elapsed());
        let begun = Instant::now();
        let mut new = instance.shim(if round % 2 == 0 { &["--server", "fine"] } else { &[] });
        assert!(new.initialize(&json!({})).get("result").is_some());
        longest_shim = longest_shim.max(begun.elapsed());
    }
    eprintln!(
        "beside a server that hangs: a call took {longest_call:.2?} at most, a new shim {longest_shim:.2?}"
    );
    assert!(longest_call < SECOND && longest_shim < SECOND * 2);
    let begun = Instant::now();
    let output = instance.exai(&["stop", "--timeout", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(begun.elapsed() < SECOND * 8, "{:?}", begun.elapsed());
}
