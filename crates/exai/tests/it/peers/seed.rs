//! The test plan of the report that began this project, with the launcher that the report is about: the Python of a
//! virtual environment, which on Windows is two processes. One daemon, three clients, a restart, a cleanup.

use std::collections::BTreeSet;

use exai_os::process::{self, Identity, Kill};
use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use super::inline;
use super::launchers::{MODULE, copy_of_the_server, left, of, system, text};
use crate::support::{Client, Instance, LIMIT};

const CLIENTS: [&str; 3] = ["augment", "claude-desktop", "auggie"];

/// An instance with a server over its own port behind the launcher, as in the report.
fn hosting() -> Instance {
    let instance = Instance::new("");
    let server = copy_of_the_server(instance.dir());
    let python = system::virtual_environment(instance.dir());
    let script = text(&server.join(MODULE).join("__init__.py"));
    let port = free_port();
    instance.configure(&format!(
        "[servers.py]\ncommand = {}\nargs = [{}]\nenv = {}\nurl = \"http://127.0.0.1:{port}/mcp\"\n",
        json!(python),
        json!(script),
        inline(&json!({"EXAI_SELFTEST_PORT": port.to_string()})),
    ));
    instance
}

/// The launchers and then the server, as `exai ps` shows them. The server itself must report the same pid.
fn tree(instance: &Instance, client: &mut Client) -> Vec<Identity> {
    let said: u32 = client.call("pid", &json!({})).parse().expect("a pid");
    let ps = instance.json(&["ps", "--json"]);
    assert_eq!((&ps["expected"], &ps["unexpected"]), (&ps["actual"], &json!([])), "{ps:#}");
    let servers = ps["processes"].as_array().into_iter().flatten().filter(|one| one["role"] == "server");
    let ids: BTreeSet<&str> = servers.filter_map(|one| one["of"].as_str()).collect();
    let id = ids.first().filter(|_| ids.len() == 1).unwrap_or_else(|| panic!("{ids:?}"));
    let tree: Vec<&Value> =
        of(&ps, id).filter(|one| !system::comes_with_the_console(one) && one["role"] != "guard").collect();
    let (server, launchers) = tree.split_last().expect("a tree");
    let kinds: Vec<&str> = launchers.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!((kinds, launchers.len()), (system::VENV.to_vec(), system::VENV.len()), "{tree:#?}");
    // Only the server may listen.
    let listens = |one: &Value| one["evidence"].to_string().contains("owns the LISTEN socket");
    assert_eq!((&server["role"], &server["pid"]), (&json!("server"), &json!(said)), "{tree:#?}");
    assert!(listens(server) && !launchers.iter().any(|one| listens(one)), "{tree:#?}");
    let explanation = ps["explanations"].to_string();
    assert_eq!(explanation.contains("the first python.exe is the venv launcher"), !launchers.is_empty());
    let identity = |one: &&Value| {
        let pid = one["pid"].as_u64().expect("a pid") as u32;
        process::identify(pid).expect("the process table").expect("it lives")
    };
    tree.iter().map(identity).collect()
}

fn connected(instance: &Instance) -> Vec<Client> {
    let client = |label: &&str| {
        let mut client = instance.shim(&["--server", "py", "--client", label]);
        client.initialize(&json!({}));
        client
    };
    CLIENTS.iter().map(client).collect()
}

/// The daemon that both the status and the record name.
fn daemon(instance: &Instance) -> Identity {
    let status = instance.status();
    let text = std::fs::read_to_string(instance.home().join("daemon.json")).expect("a record");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(record["pid"], status["daemon"]["pid"], "the health file is accurate");
    let pid = record["pid"].as_u64().expect("a pid") as u32;
    process::identify(pid).expect("the process table").expect("it lives")
}

#[test]
fn the_testing_plan_of_the_report() {
    let instance = hosting();

    // 1. One daemon, and the processes of its server, of which only one listens.
    instance.ends(0, &["start"]);
    let first_daemon = daemon(&instance);
    assert!(instance.ends(0, &["start"]).contains("already running"));
    let mut first = instance.client("py");
    let first_tree = tree(&instance, &mut first);

    // 2. Three clients: each has one shim, and all have the same daemon and the same server.
    let mut clients = connected(&instance);
    let shims: BTreeSet<u32> = clients.iter().map(Client::pid).collect();
    let status = instance.status();
    let listed = status["clients"].as_array().into_iter().flatten();
    let pids = listed.filter(|client| CLIENTS.iter().any(|label| client["label"] == *label));
    let pids: BTreeSet<u32> =
        pids.filter_map(|client| client["shim_pid"].as_u64()).map(|pid| pid as u32).collect();
    assert_eq!(pids, shims, "{status:#}");
    for client in &mut clients {
        assert_eq!(tree(&instance, client), first_tree);
    }
    assert_eq!(daemon(&instance), first_daemon);

    // 3. A restart: all processes end, and as many new ones start.
    instance.ends(0, &["stop"]);
    assert_eq!(left(&first_tree), [] as [&Identity; 0]);
    assert_eq!(left(std::slice::from_ref(&first_daemon)), [] as [&Identity; 0]);
    instance.ends(0, &["start"]);
    let second_tree = tree(&instance, &mut first);
    assert!(second_tree.iter().all(|one| !first_tree.contains(one)));
    for client in &mut clients {
        assert_eq!(tree(&instance, client), second_tree, "nobody has to connect again");
    }

    // 4. A cleanup: no second daemon can start, and the leftovers of a killed daemon are removed.
    for _ in 0..3 {
        assert_eq!(instance.exai(&["serve"]).status.code(), Some(75), "a daemon runs");
    }
    drop((first, clients)); // otherwise their shims would start the daemon again
    let second_daemon = daemon(&instance);
    process::kill_verified(&second_daemon, Kill::Force).expect("it can be killed");
    eventually("it has ended", LIMIT, || left(std::slice::from_ref(&second_daemon)).is_empty());
    instance.ends(0, &["cleanup", "--apply"]);
    eventually("its tree has ended", LIMIT, || left(&second_tree).is_empty());
    assert!(!instance.home().join("daemon.json").exists());
    instance.ends(0, &["cleanup"]);
}
