//! I07: servers with different configurations run apart, and the secrets of one server are visible to no other program.

use std::collections::BTreeMap;
use std::path::Path;

use exai_os::process;
use exai_os::process_facts::environment_variable;
use serde_json::json;

use crate::faults::daemon;
use crate::support::{Client, Instance, fixture, text};

/// A value that exists nowhere unless exai has passed it on.
fn canary(number: usize) -> String {
    format!("canary-{number}-{:x}", 0x5eed_0000_u64 + number as u64 * 7919)
}

/// The configuration of servers that differ in one thing each. Each has a canary of its own number.
fn servers(dir: &Path) -> String {
    let elsewhere = json!(dir);
    let missing = "[servers.missing]\ncommand = \"no-such-program-anywhere\"\n";
    [
        fixture("plain", &[]),
        fixture("one", &[]) + &format!("env = {{ KEY = \"{}\" }}\n", canary(1)),
        fixture("two", &[]) + &format!("env = {{ KEY = \"{}\" }}\n", canary(2)),
        fixture("session", &[]) + "env = { FROM = \"x${env:SSH_AUTH_SOCK}\" }\n",
        fixture("argument", &["--http-require", "X=${env:WAYLAND_DISPLAY}"]),
        fixture("place", &[]) + &format!("cwd = {elsewhere}\n"),
        fixture("dies", &["--die-at-start", "nothing to see"]) + &format!("env = {{ KEY = \"{}\" }}\n", canary(5)),
        missing.to_owned() + &format!("args = [\"--api-key\", \"{}\", \"--password={}\"]\n", canary(6), canary(7)),
        format!("env = {{ KEY = \"{}\" }}\n", canary(8)),
        format!("[servers.far]\nurl = \"http://127.0.0.1:9/mcp\"\nheaders = {{ Authorization = \"Bearer {}\", X-Key = \"${{env:DISPLAY}}\" }}\n", canary(9)),
    ]
    .concat()
}

const RUNNING: [(&str, Option<usize>); 6] = [
    ("plain", None),
    ("one", Some(1)),
    ("two", Some(2)),
    ("session", Some(3)),
    ("argument", Some(4)),
    ("place", None),
];

fn start(instance: &Instance) {
    let mut command = instance.command(&["start"]);
    // The daemon takes the variables of a session from its starter.
    command.env("SSH_AUTH_SOCK", canary(3)).env("WAYLAND_DISPLAY", canary(4)).env("DISPLAY", canary(10));
    // The most detailed log.
    command.env("EXAI_LOG", "trace");
    let output = command.output().expect("exai runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The environment of a process, with a zero after each variable: on Linux all of it, elsewhere only the variables that
/// these servers get.
fn environment(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        return Some(text(&std::fs::read(format!("/proc/{pid}/environ")).ok()?));
    }
    let mut all = String::new();
    for name in ["KEY", "FROM"] {
        if let Some(value) = environment_variable(pid, name).ok()? {
            all.extend([name, "=", &value, "\0"]);
        }
    }
    Some(all)
}

/// The output of all commands about the servers, by command.
fn said(instance: &Instance, errors: Vec<String>) -> BTreeMap<String, String> {
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut note = |args: &[&str]| {
        let output = instance.exai(args);
        said.insert(args.join(" "), text(&output.stdout) + &text(&output.stderr));
    };
    for command in ["status", "list", "ps", "doctor", "tools", "cleanup"] {
        note(&[command]);
        note(&[command, "--json"]);
    }
    note(&["status", "-v"]);
    for server in ["one", "dies", "missing", "far", "argument"] {
        note(&["why", server]);
        note(&["logs", server]);
        note(&["restart", server]);
        note(&["call", server, "echo", r#"{"message": "x"}"#]);
        note(&["call", server, "echo", r#"{"message": "x"}"#, "--json"]);
    }
    note(&["add", "one", "--no-check", "--", "x"]);
    note(&["remove", "nobody"]);
    for (number, error) in errors.into_iter().enumerate() {
        said.insert(format!("error {number}"), error);
    }
    files(&instance.home(), &mut said);
    said
}

/// Adds every file in the state directory, except those that may hold secrets: the configuration, its copies, and the
/// token.
fn files(dir: &Path, said: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            files(&path, said);
        } else if let Ok(bytes) = std::fs::read(&path)
            && !name.starts_with("config.")
            && name != "token"
        {
            said.insert(path.display().to_string(), text(&bytes));
        }
    }
}

#[test]
fn servers_run_apart_and_no_secret_of_one_is_seen_anywhere_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let instance = Instance::new(&servers(dir.path()));
    start(&instance);
    let token = instance.token();
    let mut clients: Vec<Client> = RUNNING.iter().map(|(name, _)| instance.client(name)).collect();
    let pids: Vec<u32> =
        clients.iter_mut().map(|client| client.call("pid", &json!({})).parse().expect("a pid")).collect();
    let mut apart = pids.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), RUNNING.len(), "each has a process of its own: {pids:?}");
    let same = instance.client("one").call("pid", &json!({}));
    assert_eq!(same, pids[1].to_string(), "one server is one process");
    assert_eq!(clients[5].call("cwd", &json!({})), dir.path().display().to_string());
    assert_eq!(clients[1].call("env", &json!({"name": "KEY"})), canary(1));
    assert_eq!(clients[3].call("env", &json!({"name": "FROM"})), format!("x{}", canary(3)));

    // No process below the daemon may have a variable of another server.
    let all = process::snapshot().expect("the process table");
    let below = process::descendants(&all, daemon(&instance).pid);
    let (mut looked_at, mut own) = (0, 0);
    // Windows adds a process for each console, which has the environment of the console's owner.
    for one in below.iter().filter(|one| one.name != "conhost.exe") {
        let Some(environ) = environment(one.pid) else { continue };
        looked_at += 1;
        let server = pids.iter().position(|pid| *pid == one.pid);
        for number in [1, 2, 5, 6, 7, 8, 9] {
            let has = environ.contains(&canary(number));
            let may = server.is_some_and(|server| RUNNING[server].1 == Some(number));
            assert!(!has || may, "pid {} has canary {number} in its environment", one.pid);
            own += usize::from(has && may);
        }
        let has_from = environ.split('\0').any(|variable| variable.starts_with("FROM="));
        assert!(!has_from || server == Some(3), "pid {} has a variable of another server", one.pid);
        assert!(!environ.contains(&token), "pid {} has the token", one.pid);
    }
    // Where there are guards, each server has one.
    let least = if cfg!(windows) { RUNNING.len() } else { 2 * RUNNING.len() };
    assert!(looked_at >= least && own == 2, "{looked_at} environments, {own} with their own secrets");

    let errors = ["dies", "missing", "far"].map(|server| {
        let mut client = instance.shim(&["--server", server]);
        client.initialize(&json!({})).to_string() + &client.ask("tools/list", &json!({})).to_string()
    });
    let said = said(&instance, errors.into());
    let mut seen = Vec::new();
    for (place, text) in &said {
        seen.extend((1..=10).filter(|number| text.contains(&canary(*number))).map(|number| (place, number)));
        assert!(!text.contains(&token), "{place} holds the token");
    }
    assert!(seen.is_empty(), "canaries seen: {seen:?}");
    eprintln!(
        "6 servers that differ in one thing each are 6 processes; {looked_at} environments hold no variable of another \
         server; 10 secrets and the token: seen in 0 of {} outputs and files ({} bytes)",
        said.len(),
        said.values().map(String::len).sum::<usize>()
    );
}

/// The soft limit of core files of a process.
#[cfg(target_os = "linux")]
fn core_limit(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    line.split_whitespace().next().expect("a value").to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_fails_leaves_no_core_file_and_its_servers_may() {
    let instance = Instance::with_fixture(&[]);
    // A hard limit of 0 cannot be raised here, and is enough.
    let mine = core_limit(std::process::id());
    let mut client = instance.client("fix");
    let server = client.call("pid", &json!({})).parse().expect("a pid");
    let held = core_limit(daemon(&instance).pid);
    assert!(held == "1" || mine == "0" && held == "0", "{held}");
    assert_eq!(core_limit(server), mine);
}
