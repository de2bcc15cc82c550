//! Two builds of exai on one machine: which build replaces the daemon of the other, and when.

mod churn;

use std::process::Output;
use std::time::{Duration, Instant};

use exai_os::build;
use exai_test::eventually;
use serde_json::json;

use crate::faults::daemon;
use crate::support::{Client, Instance, LIMIT, fixture, text};

const OLD: &str = "0.1.0";
const NEW: &str = "0.2.0";

/// Runs a command of this build.
fn exai(instance: &Instance, build: &str, args: &[&str]) -> Output {
    instance.command(args).env(build::VARIABLE, build).output().expect("exai runs")
}

/// A shim of this build for the fixture, which has sent `initialize`.
fn client(instance: &Instance, build: &str) -> Client {
    let mut command = instance.command(&["shim", "--server", "fix"]);
    command.env(build::VARIABLE, build);
    let mut client = Client::start(command);
    client.initialize(&json!({}));
    client
}

fn version(instance: &Instance) -> String {
    instance.status()["daemon"]["version"].as_str().expect("a version").to_owned()
}

/// The versions of all daemons so far, according to the log.
fn daemons(instance: &Instance) -> Vec<String> {
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
    let ready = log.lines().filter(|line| line.contains(" ready "));
    let version = |line: &str| Some(line.split_once("version=\"")?.1.split_once('"')?.0.to_owned());
    ready.filter_map(version).collect()
}

#[test]
fn a_newer_start_replaces_an_older_daemon_and_an_older_or_equal_one_nothing() {
    let instance = Instance::with_fixture(&[]);
    assert!(exai(&instance, OLD, &["start"]).status.success());
    let mut idle = client(&instance, OLD);
    assert_eq!(idle.call("echo", &json!({"message": "before"})), "before");
    let output = exai(&instance, NEW, &["start"]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("exai 0.2.0 is running instead of 0.1.0"), "{said}");
    assert_eq!(version(&instance), NEW);
    let replaced = daemon(&instance);
    // The client of the old build goes on without any notice.
    assert_eq!(idle.call("echo", &json!({"message": "after"})), "after");
    for build in [OLD, NEW, "0.2.0-rc.1", "nonsense"] {
        let output = exai(&instance, build, &["start"]);
        assert!(output.status.success() && text(&output.stdout).contains("is already running"), "{build}");
        let mut client = client(&instance, build);
        assert_eq!(client.call("echo", &json!({"message": build})), build);
    }
    assert_eq!(daemon(&instance), replaced);
    assert_eq!(daemons(&instance), [OLD, NEW]);
}

#[test]
fn a_daemon_with_calls_under_way_stays_and_serves_the_newer_build_too() {
    let instance = Instance::with_fixture(&[]);
    assert!(exai(&instance, OLD, &["start"]).status.success());
    let mut busy = client(&instance, OLD);
    let go_on = instance.dir().join("go on");
    let until = json!({"name": "until", "arguments": {"file": go_on, "message": "slow"}});
    let slow = busy.request("tools/call", &until);
    let in_flight = || instance.status()["clients"][0]["in_flight"] == 1;
    eventually("the call is under way", LIMIT, in_flight);
    let output = exai(&instance, NEW, &["start"]);
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains("exai 0.1.0 is already running"), "{said}");
    assert!(warned.contains("1 call is under way; `exai restart` replaces it"), "{warned}");
    let mut newer = client(&instance, NEW);
    assert_eq!(newer.call("echo", &json!({"message": "x"})), "x");
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(busy.answer(&slow)["result"]["content"][0]["text"], "slow");
    assert_eq!(version(&instance), OLD);
    // No request is under way any more, so the next client of the newer build replaces the daemon.
    let mut newest = client(&instance, NEW);
    assert_eq!(newest.call("echo", &json!({"message": "y"})), "y");
    assert_eq!(version(&instance), NEW);
    for client in [&mut busy, &mut newer] {
        assert_eq!(client.call("echo", &json!({"message": "z"})), "z");
    }
    assert_eq!(daemons(&instance), [OLD, NEW]);
}

#[test]
fn a_daemon_that_works_is_not_replaced_by_one_that_could_not_start() {
    let instance = Instance::with_fixture(&[]);
    assert!(exai(&instance, OLD, &["start"]).status.success());
    std::fs::write(instance.home().join("config.toml"), "this is no configuration").expect("it is written");
    let output = exai(&instance, NEW, &["start"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("config.toml"), "{}", text(&output.stderr));
    let mut client = client(&instance, NEW);
    assert_eq!(client.call("echo", &json!({"message": "x"})), "x");
    assert_eq!(daemons(&instance), [OLD]);
}

/// Fault 29: A shim that comes back uses the daemon that is there.
#[test]
fn a_shim_that_comes_back_replaces_nothing() {
    let instance = Instance::with_fixture(&[]);
    let mut newer = client(&instance, NEW);
    newer.call("echo", &json!({"message": "x"}));
    assert!(exai(&instance, OLD, &["restart"]).status.success());
    assert_eq!(newer.call("echo", &json!({"message": "x"})), "x");
    std::thread::sleep(Duration::from_secs(1)); // no event shows that something does not happen
    assert_eq!(newer.call("echo", &json!({"message": "x"})), "x");
    assert_eq!(daemons(&instance), [NEW, OLD]);
}

/// A daemon that does not know that a shim may want several servers would offer all.
#[test]
fn a_daemon_that_cannot_offer_several_servers_makes_room_or_is_not_asked_for_them() {
    let instance = Instance::new(&(fixture("fix", &[]) + &fixture("two", &[]) + &fixture("three", &[])));
    let start_old = || {
        let mut command = instance.command(&["start"]);
        command.env(build::VARIABLE, OLD).env(build::LINK_VARIABLE, "1-1");
        assert!(command.status().expect("exai runs").success());
    };
    let several = || {
        let mut command = instance.command(&["shim", "--server", "fix", "--server", "two"]);
        command.env(build::VARIABLE, NEW);
        Client::start(command)
    };
    start_old();
    let mut busy = client(&instance, OLD);
    let go_on = instance.dir().join("go on");
    let until = json!({"name": "until", "arguments": {"file": go_on, "message": "slow"}});
    let slow = busy.request("tools/call", &until);
    let in_flight = || instance.status()["clients"][0]["in_flight"] == 1;
    eventually("the call is under way", LIMIT, in_flight);
    let mut newer = several();
    newer.initialize(&json!({}));
    let answer = newer.ask("tools/call", &json!({"name": "fix__echo", "arguments": {"message": "x"}}));
    let said =
        answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no server is offered: {answer}"));
    assert!(said.contains("`exai restart` replaces the daemon"), "{said}");
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(busy.answer(&slow)["result"]["content"][0]["text"], "slow");
    // Nothing is under way any more: the daemon makes room for the newer build.
    eventually("the servers are there", LIMIT, || {
        let answer = newer.ask("tools/call", &json!({"name": "two__echo", "arguments": {"message": "x"}}));
        answer["result"].is_object()
    });
    let answer = newer.ask("tools/call", &json!({"name": "three__echo", "arguments": {"message": "x"}}));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(daemons(&instance), [OLD, NEW]);

    instance.ends(0, &["stop"]);
    start_old();
    let mut newest = several();
    newest.initialize(&json!({}));
    assert_eq!(newest.call("fix__echo", &json!({"message": "y"})), "y");
    assert_eq!(daemons(&instance), [OLD, NEW, OLD, NEW]);
}

/// Builds without a common version of the link protocol: each names both versions and the remedy.
#[test]
fn builds_that_do_not_understand_each_other_say_so_and_restart_helps() {
    let instance = Instance::with_fixture(&[]);
    let foreign = |args: &[&str]| {
        let mut command = instance.command(args);
        command.env(build::VARIABLE, NEW).env(build::LINK_VARIABLE, "7-9");
        command
    };
    assert!(exai(&instance, OLD, &["start"]).status.success());
    let begun = Instant::now();
    let mut newer = Client::start(foreign(&["shim", "--server", "fix"]));
    // The session begins all the same, but offers nothing.
    let answer = newer.initialize(&json!({}));
    assert_eq!(answer["result"]["serverInfo"]["name"], "exai", "{answer}");
    let answer = newer.ask("tools/list", &json!({}));
    assert_eq!(answer["error"]["code"], -31001, "{answer}");
    let said = answer["error"]["message"].as_str().expect("a sentence");
    let sentence =
        "exai 0.2.0 and the daemon, exai 0.1.0, have no version of the link in common: `exai restart`";
    assert!(said.contains(sentence), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing is waited for: {:?}", begun.elapsed());
    let output = foreign(&["start"]).output().expect("exai runs");
    assert!(!output.status.success() && text(&output.stderr).contains(sentence), "{}", text(&output.stderr));
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(log.contains(sentence), "the daemon says it as well");
    assert_eq!(daemons(&instance), [OLD], "nobody was ended for that");
    let output = foreign(&["restart"]).output().expect("exai runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(daemons(&instance), [OLD, NEW]);
    while newer.receive()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(newer.call("echo", &json!({"message": "x"})), "x");
    let output = exai(&instance, OLD, &["start"]);
    let cure = "restart the client, so that it runs the exai that is installed now";
    assert!(text(&output.stderr).contains(cure), "{}", text(&output.stderr));
    // The test ends the daemon that it has started.
    assert!(foreign(&["stop", "--timeout", "0"]).output().expect("exai runs").status.success());
}
