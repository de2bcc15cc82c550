//! Why there are so many processes, what earlier daemons left, and how many there may be.

use std::path::Path;

use exai_client::daemon_record::process_lives;
use exai_os::{inspect, private};
use exai_proto::documents::{Identity, Instance};
use exai_supervisor::leftovers;

use super::outcome::{CheckOutcome, listed, size};
use super::scene::Scene;
use crate::commands::count;
use crate::limits::{MAX_RECORD_BYTES, MAX_RECORDS, SERVER_PIPES_BYTES};

pub(super) fn process_count(scene: &Scene) -> CheckOutcome {
    let Some(status) = scene.status() else { return CheckOutcome::skip("needs a daemon that answers") };
    let counted = &status.processes;
    let mut sentences = vec![format!("{} of {} processes expected", counted.actual, counted.expected)];
    let launchers = status.daemon.iter().flat_map(|daemon| &daemon.launchers);
    let alive: Vec<String> = launchers
        .filter(|launcher| launcher.alive && launcher.kind != "service manager")
        .map(|launcher| format!("{} (pid {})", launcher.name, launcher.pid))
        .collect();
    if let (Some(daemon), false) = (&status.daemon, alive.is_empty()) {
        sentences.push(format!(
            "pid {} is the one daemon: {} above it started it, and {} no second one",
            daemon.pid,
            alive.join(", "),
            if alive.len() == 1 { "is" } else { "are" }
        ));
    }
    if scene.explanations.is_empty() {
        let instances = status.servers.iter().flat_map(|server| &server.instances);
        sentences.extend(instances.filter_map(|instance| explain(instance, scene)));
    }
    sentences.extend(
        scene.explanations.iter().map(|explanation| format!("{}: {}", explanation.of, explanation.text)),
    );
    let detail = listed(&sentences);
    if counted.unexpected.is_empty() && counted.actual == counted.expected {
        return CheckOutcome::pass(detail);
    }
    let unexpected: Vec<String> = counted
        .unexpected
        .iter()
        .map(|process| format!("pid {} ({}): {}", process.pid, process.kind, process.reason))
        .collect();
    let unexpected =
        if unexpected.is_empty() { detail } else { format!("{detail}; unexpected: {}", listed(&unexpected)) };
    CheckOutcome::warn(unexpected).fix("`exai cleanup` shows what can be ended, and why")
}

/// `files#1: 3 processes, 1 server: npm exec (pid 7) and sh (pid 8) are launchers of node (pid 9)`.
fn explain(instance: &Instance, scene: &Scene) -> Option<String> {
    let (server, root) = (instance.pid?, instance.root_pid?);
    if instance.processes < 2 {
        return None;
    }
    let mut launchers = Vec::new();
    if server != root {
        launchers.extend(scene.above(server).map(|process| process.pid).take_while(|pid| *pid != root));
        launchers.push(root);
    }
    launchers.reverse();
    let names: Vec<String> = launchers.iter().map(|pid| scene.name(*pid)).collect();
    let who = match names.len() {
        0 => format!("{} is the server, the others are its children", scene.name(server)),
        1 => format!("{} is the launcher of {}", names[0], scene.name(server)),
        _ => format!("{} are launchers of {}", names.join(" and "), scene.name(server)),
    };
    Some(format!("{}: {} processes, 1 server: {who}", instance.id, instance.processes))
}

pub(super) fn left_behind(scene: &Scene) -> CheckOutcome {
    let entries = std::fs::read_dir(scene.home.servers_dir()).into_iter().flatten().flatten();
    let paths =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let (mut left, mut living, mut broken) = (0, 0, 0);
    for path in paths.take(MAX_RECORDS) {
        match RecordedTree::read(&path) {
            Some(tree) if process_lives(&tree.daemon) => {}
            Some(tree) => {
                left += 1;
                living += tree.processes.iter().filter(|identity| process_lives(identity)).count();
            }
            None => broken += 1,
        }
    }
    // These trees have no record, since the disk was full.
    let last = if scene.daemon_lives() { None } else { exai_daemon::last_daemon(&scene.home) };
    let found = last.and_then(|last| leftovers::find(&scene.home.servers_dir(), None, Some(&last)).ok());
    let trees = found.into_iter().flat_map(|found| found.trees);
    let unrecorded: usize = trees.filter(|tree| tree.file.is_none()).map(|tree| tree.processes.len()).sum();
    if left + broken + unrecorded == 0 {
        return CheckOutcome::pass("no records of servers that an earlier daemon left");
    }
    let mut parts = Vec::new();
    if left > 0 {
        parts.push(format!("{} of servers of daemons that have ended", count(left, "record")));
    }
    match living {
        0 => {}
        1 => parts.push("1 process of them still lives".to_owned()),
        _ => parts.push(format!("{living} processes of them still live")),
    }
    if unrecorded > 0 {
        parts.push(format!("{} without a record of the daemon that has ended", count(unrecorded, "process")));
    }
    if broken > 0 {
        parts.push(format!("{} in servers/ cannot be read", count(broken, "file")));
    }
    CheckOutcome::warn(listed(&parts))
        .fix("`exai cleanup` shows them, `exai cleanup --apply` ends what is proven ours")
}

/// The part of a record in `servers/` that is needed here.
struct RecordedTree {
    daemon: Identity,
    processes: Vec<Identity>,
}

impl RecordedTree {
    fn read(path: &Path) -> Option<RecordedTree> {
        let bytes = private::read(path, MAX_RECORD_BYTES).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let identity = |value: &serde_json::Value| serde_json::from_value::<Identity>(value.clone()).ok();
        let processes = record["processes"].as_array()?;
        Some(RecordedTree {
            daemon: identity(&record["daemon"])?,
            processes: processes.iter().filter_map(|process| identity(&process["identity"])).collect(),
        })
    }
}

pub(super) fn limits(scene: &Scene) -> CheckOutcome {
    // The limits where the daemon was started may differ from those here.
    let of_daemon = scene.daemon_pid().and_then(|pid| Some((pid, inspect::limits_of(pid).ok()?)));
    let (whose, limits) = match of_daemon {
        Some((pid, limits)) => (format!("the daemon (pid {pid})"), limits),
        None => ("a daemon that is started from here".to_owned(), inspect::limits()),
    };
    let servers = scene.config.as_ref().map_or(0, |config| config.servers.len()) as u64;
    let number = |most: Option<u64>| most.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
    let pipes = limits.pipe_bytes.map_or_else(|| "no limit".to_owned(), size);
    let detail = format!(
        "{whose} may have: open files {}, processes {}, pipes {pipes}",
        number(limits.descriptors),
        number(limits.processes)
    );
    let shortages = limits.shortages();
    if !shortages.is_empty() {
        let sentence = format!("{detail}; servers may fail with no more than {}", listed(&shortages));
        return CheckOutcome::warn(sentence).fix(exai_daemon::RAISE_LIMITS);
    }
    if limits.pipe_bytes.is_some_and(|most| servers * SERVER_PIPES_BYTES > most) {
        return CheckOutcome::warn(format!(
            "{detail}: so many servers make new pipes small and large messages slow"
        ))
        .fix("raise fs.pipe-user-pages-soft with sysctl");
    }
    CheckOutcome::pass(detail)
}
