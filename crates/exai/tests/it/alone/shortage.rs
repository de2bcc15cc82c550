//! No space, no permission, no descriptors: exai gives a reason and an exit code, and does not start daemons without
//! end.

use std::process::{Command, Output};
use std::time::Instant;

use exai_os::failpoint::VARIABLE;
use exai_test::{eventually, program};
use serde_json::json;

use super::{SECOND, daemons, state};
use crate::support::{Instance, LIMIT, text};

/// Runs a script in which `$0` is exai and `$HOME_DIR` is the state directory.
fn script(instance: &Instance, program_and_args: &[&str], text: &str) -> Output {
    let mut command = Command::new(program_and_args[0]);
    command.args(&program_and_args[1..]).arg("-c").arg(text).arg(program("exai"));
    command.env("EXAI_HOME", instance.home()).env("HOME_DIR", instance.home());
    command.output().expect("it runs")
}

/// Runs the script in a mount namespace of its own, so that none of its mounts stays.
const APART: [&str; 3] = ["unshare", "--mount", "sh"];

fn can_mount(instance: &Instance) -> bool {
    let tried = script(instance, &APART, "mount -t tmpfs none \"$HOME_DIR\"");
    if !tried.status.success() {
        eprintln!("skipped: this account may not mount: {}", text(&tried.stderr));
    }
    tried.status.success()
}

#[track_caller]
fn fails_with(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(words.iter().any(|word| said.contains(word)), "none of {words:?} in: {said}");
    eprintln!("exit {code}: {}", said.lines().find(|line| line.starts_with("error")).unwrap_or_default());
}

#[test]
fn a_full_disk_is_named() {
    let instance = Instance::new("");
    if !can_mount(&instance) {
        return;
    }
    let fill = "mount -t tmpfs -o size=64k,mode=700 none \"$HOME_DIR\" && mkdir \"$HOME_DIR\"/log \
                && printf '[daemon]\\nport = 0\\n' > \"$HOME_DIR/config.toml\" \
                && (head -c 1M /dev/zero > \"$HOME_DIR/filler\" 2>/dev/null; \"$0\" start)";
    let begun = Instant::now();
    fails_with(&script(&instance, &APART, fill), 1, &["No space left"]);
    assert!(begun.elapsed() < SECOND * 5, "{:?}", begun.elapsed());
    // The daemon has already said why it ends, but no parent has waited for its end.
    eventually("the daemon has ended", LIMIT, || daemons(&instance).is_empty());
}

#[test]
fn a_disk_that_fills_up_ends_no_daemon_though_its_log_cannot_go_on() {
    let instance = Instance::new("");
    if !can_mount(&instance) {
        return;
    }
    // More visits than the last page of the log has room for lines.
    let visits = "mount -t tmpfs -o size=256k,mode=700 none \"$HOME_DIR\" \
                  && printf '[daemon]\\nport = 0\\n' > \"$HOME_DIR/config.toml\" && \"$0\" start > /dev/null || exit 9
                  head -c 1M /dev/zero > \"$HOME_DIR/filler\" 2>/dev/null
                  for visit in $(seq 40); do \"$0\" call exai servers > /dev/null || exit 8; done
                  \"$0\" status && \"$0\" stop";
    let output = script(&instance, &APART, visits);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{:?} {said} {}", output.status, text(&output.stderr));
    assert!(said.contains("running") && said.contains("stopped exai"), "{said}");
    assert!(daemons(&instance).is_empty());
}

#[test]
fn on_a_full_disk_an_edit_changes_nothing_and_a_killed_daemon_is_replaced() {
    let instance = Instance::new("");
    if !can_mount(&instance) {
        return;
    }
    let full = "mount -t tmpfs -o size=256k,mode=700 none \"$HOME_DIR\" \
                && printf '[daemon]\\nport = 0\\n' > \"$HOME_DIR/config.toml\" && \"$0\" start > /dev/null || exit 9
                head -c 1M /dev/zero > \"$HOME_DIR/filler\" 2>/dev/null
                \"$0\" add more -- true && exit 8
                test \"$(cat \"$HOME_DIR/config.toml\")\" = \"$(printf '[daemon]\\nport = 0')\" || exit 7
                kill -9 $(\"$0\" status | sed -n 's/^daemon *pid \\([0-9]*\\).*/\\1/p') || exit 6
                \"$0\" call exai servers > /dev/null || exit 5
                \"$0\" stop";
    let output = script(&instance, &APART, full);
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{:?} {said} {complaint}", output.status);
    assert!(complaint.contains("config.toml") && complaint.contains("No space left"), "{complaint}");
    assert!(daemons(&instance).is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let instance = Instance::new("");
    if !can_mount(&instance) {
        return;
    }
    let protect = "mount -t tmpfs -o mode=700 none \"$HOME_DIR\" && mount -o remount,ro \"$HOME_DIR\" && ";
    for command in ["\"$0\" start", "\"$0\" serve"] {
        let output = script(&instance, &APART, &format!("{protect}{command}"));
        let code = output.status.code().expect("a code");
        fails_with(&output, code, &["Read-only"]);
        assert!(code == 1 || code == 5, "{code}");
    }
    let output = script(&instance, &APART, &format!("{protect}\"$0\" status; test $? = 3 && \"$0\" stop"));
    assert!(output.status.success(), "to look and to stop need no file: {}", text(&output.stderr));
    assert!(daemons(&instance).is_empty());
}

#[test]
fn too_few_descriptors_are_named() {
    let instance = Instance::new("");
    for most in 5..16 {
        let begun = Instant::now();
        let output = script(&instance, &["sh"], &format!("ulimit -n {most}; exec \"$0\" start"));
        assert!(begun.elapsed() < SECOND * 15, "{most}: {:?}", begun.elapsed());
        let said = text(&output.stderr);
        let reason = said.contains("Too many open files") || said.contains("os error 24");
        assert!(output.status.success() || reason, "{most}: {said}");
        let error = said.lines().find(|line| line.starts_with("error")).unwrap_or("started");
        eprintln!("{most} descriptors: exit {:?}, {error}", output.status.code());
        // The attempt may have left a daemon with few descriptors. There must be one at most, and it must end when
        // asked.
        assert!(daemons(&instance).len() <= 1, "{most}");
        for daemon in daemons(&instance) {
            super::end(daemon);
        }
    }
}

#[test]
fn a_shim_whose_daemon_cannot_start_rests_and_says_why() {
    let instance = Instance::new("");
    let mut command = instance.command(&["shim"]);
    command.env(VARIABLE, "daemon.claimed=error");
    let mut shim = crate::support::Client::start(command);
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}});
    let begun = Instant::now();
    // The session must begin all the same: a client drops a server for good when the server refuses it.
    let answer = shim.ask("initialize", &hello);
    let first = begun.elapsed();
    assert_eq!(answer["result"]["serverInfo"]["name"], "exai", "{answer}");
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    let sentence = answer["result"]["instructions"].as_str().unwrap_or_default();
    assert!(sentence.contains("failpoint daemon.claimed"), "{sentence}");
    shim.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let starts = || {
        let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
        log.matches("failpoint daemon.claimed (").count()
    };
    // No event shows that something does not happen, so the test watches for a while.
    while begun.elapsed() < SECOND * 6 {
        let asked = Instant::now();
        let answer = shim.ask("tools/list", &json!({}));
        assert_eq!(answer["error"]["code"], -31001, "nothing is pretended");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("daemon.claimed")));
        assert!(asked.elapsed() < SECOND, "it answers at once: {:?}", asked.elapsed());
        std::thread::sleep(SECOND / 4);
    }
    assert_eq!(starts(), 3, "and starts no more");
    assert!(first < SECOND * 4, "{first:?}");
    // The shim soon finds the daemon that a person starts.
    instance.ends(0, &["start"]);
    let begun = Instant::now();
    while shim.receive()["method"] != "notifications/tools/list_changed" {}
    assert!(shim.ask("tools/list", &json!({}))["result"]["tools"].is_array());
    assert!(begun.elapsed() < SECOND * 3, "{:?}", begun.elapsed());
    eprintln!(
        "a failing start: answered after {first:.2?}, 3 starts in 6 s; after `exai start` served in {:.2?}",
        begun.elapsed()
    );
    assert_eq!(state(&instance), "running");
}
