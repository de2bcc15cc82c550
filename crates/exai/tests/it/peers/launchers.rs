//! Real launchers: the process that exai calls the server is the one that names itself, and no process of these trees
//! is left when its daemon has ended, in whatever way.

#[cfg(unix)]
#[path = "launchers/unix.rs"]
pub(crate) mod system;
#[cfg(windows)]
#[path = "launchers/windows.rs"]
pub(crate) mod system;

use std::path::{Path, PathBuf};

use exai_os::process::{self, Identity, Kill};
use exai_test::{eventually, free_port, peers};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

/// A server that reports its own pid, behind a launcher.
struct Case {
    name: &'static str,
    command: PathBuf,
    args: Vec<String>,
    /// The kinds of the launchers that are expected above the server.
    launchers: &'static [&'static str],
}

impl Case {
    fn new(
        name: &'static str,
        command: impl Into<PathBuf>,
        args: &[&str],
        launchers: &'static [&'static str],
    ) -> Case {
        Case {
            name,
            command: command.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            launchers,
        }
    }

    /// The name of the same server with a port.
    fn over_http(&self) -> String {
        format!("{}-port", self.name)
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Copies the server into this folder: the script for Node with the files that npm and uv need, and the Python script
/// that `exai selftest` uses.
pub(crate) fn copy_of_the_server(dir: &Path) -> PathBuf {
    let (source, copy) = (peers::folder().join("pid-server"), dir.join("pid-server"));
    std::fs::create_dir_all(copy.join(MODULE)).expect("a directory");
    for file in ["index.js", "package.json", "pyproject.toml"] {
        std::fs::copy(source.join(file), copy.join(file)).expect("a copy");
    }
    let python = include_str!("../../../src/commands/selftest/server.py");
    std::fs::write(copy.join(MODULE).join("__init__.py"), python).expect("a file");
    copy
}

/// The folder of the Python script, relative to the folder of the server.
pub(crate) const MODULE: &str = "src/pid_server";

/// An instance with two servers for each case, one over stdio and one with a port. They work in a folder of their own.
fn hosting() -> (Instance, Vec<Case>) {
    let instance = Instance::new("");
    let dir = instance.dir().join("work of launchers");
    std::fs::create_dir(&dir).expect("a directory");
    let cases = system::cases(&dir);
    let servers = cases.iter().map(|case| {
        let (name, command, args, dir) = (case.name, json!(case.command), json!(case.args), json!(dir));
        let common = format!("command = {command}\nargs = {args}\ncwd = {dir}\n");
        let port = free_port();
        format!(
            "[servers.{name}]\n{common}[servers.{name}-port]\n{common}url = \"http://127.0.0.1:{port}/mcp\"\n\
             env = {{ EXAI_SELFTEST_PORT = \"{port}\" }}\n"
        )
    });
    instance.configure(&servers.collect::<String>());
    (instance, cases)
}

#[test]
fn the_server_is_the_process_that_says_so_behind_every_launcher() {
    let (instance, cases) = hosting();
    for case in &cases {
        check(&instance, case, case.name, system::counts_io());
        let ps = check(&instance, case, &case.over_http(), true);
        let server = ps.iter().find(|one| one["role"] == "server").expect("a server");
        let evidence = server["evidence"][0].as_str().unwrap_or_default();
        assert!(evidence.starts_with("owns the LISTEN socket"), "{server}");
    }
    let ps = instance.json(&["ps", "--json"]);
    assert_eq!((&ps["expected"], &ps["unexpected"]), (&ps["actual"], &json!([])), "{ps}");
}

/// Checks the tree of this server, and returns its processes.
fn check(instance: &Instance, case: &Case, name: &str, can_be_confirmed: bool) -> Vec<Value> {
    let said: u32 = instance.client(name).call("pid", &json!({})).parse().expect("a pid");
    let id = format!("{name}#1");
    let mut ps = instance.json(&["ps", "--json"]);
    if can_be_confirmed {
        eventually(&format!("{name} is confirmed"), LIMIT, || {
            ps = instance.json(&["ps", "--json"]);
            of(&ps, &id).any(|one| one["role"] == "server" && one["confirmed"] == json!(true))
        });
    }
    let tree: Vec<Value> = of(&ps, &id).cloned().collect();
    let server = tree.iter().find(|one| one["role"] == "server").expect("a server");
    assert_eq!(server["pid"], json!(said), "{name}: {tree:#?}");
    let launchers = tree.iter().filter(|one| one["role"] == "launcher");
    let kinds: Vec<&str> = launchers.map(|one| one["kind"].as_str().unwrap_or("?")).collect();
    assert_eq!(kinds, case.launchers, "{name}: {tree:#?}");
    let others = tree.iter().filter(|one| !system::comes_with_the_console(one) && one["role"] != "guard");
    assert_eq!(others.count(), 1 + kinds.len(), "launchers, server and nobody else: {tree:#?}");
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers");
    let listed = servers.iter().find(|one| one["name"] == *name).expect("it is listed");
    assert_eq!(listed["instances"][0]["pid"], json!(said));
    let explanations = ps["explanations"].as_array().expect("explanations");
    let explained = explanations.iter().find(|one| one["of"] == json!(id));
    eprintln!("{id}: {}", explained.map_or("one process", |one| one["text"].as_str().unwrap_or_default()));
    tree
}

pub(crate) fn of<'a>(ps: &'a Value, id: &str) -> impl Iterator<Item = &'a Value> {
    ps["processes"].as_array().into_iter().flatten().filter(move |one| one["of"] == *id)
}

/// Starts all these servers. Returns every process of their trees, and the clients that made the calls.
fn everybody(instance: &Instance, cases: &[Case]) -> (Vec<Identity>, Vec<Client>) {
    let names = cases.iter().flat_map(|case| [case.name.to_owned(), case.over_http()]);
    let clients: Vec<Client> = names
        .map(|name| {
            let mut client = instance.client(&name);
            client.call("pid", &json!({}));
            client
        })
        .collect();
    let ps = instance.json(&["ps", "--json"]);
    let is_member = |one: &&Value| one["of"].as_str().is_some_and(|of| of.contains('#'));
    let members = ps["processes"].as_array().into_iter().flatten().filter(is_member);
    let pids = members.map(|one| one["pid"].as_u64().expect("a pid") as u32);
    let living: Vec<Identity> =
        pids.filter_map(|pid| process::identify(pid).expect("the process table")).collect();
    let least: usize = cases.iter().map(|case| 2 * (case.launchers.len() + 1)).sum();
    assert!(living.len() >= least, "{} processes of {} servers", living.len(), clients.len());
    (living, clients)
}

pub(crate) fn left(all: &[Identity]) -> Vec<&Identity> {
    let lives =
        |one: &&Identity| process::identify(one.pid).expect("the process table").as_ref() == Some(*one);
    all.iter().filter(lives).collect()
}

#[test]
fn stop_leaves_nobody_of_any_tree() {
    let (instance, cases) = hosting();
    let (all, _clients) = everybody(&instance, &cases);
    instance.ends(0, &["stop"]);
    assert_eq!(left(&all), [] as [&Identity; 0]);
}

#[test]
fn a_killed_daemon_leaves_nobody_of_any_tree() {
    let (instance, cases) = hosting();
    let (all, clients) = everybody(&instance, &cases);
    for mut client in clients {
        client.kill(); // otherwise its shim would start the daemon again
    }
    let pid = instance.status()["daemon"]["pid"].as_u64().expect("a daemon") as u32;
    let daemon = process::identify(pid).expect("the process table").expect("it lives");
    process::kill_verified(&daemon, Kill::Force).expect("it can be killed");
    eventually("the trees have ended", LIMIT, || left(&all).is_empty());
}
