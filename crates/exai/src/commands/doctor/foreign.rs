//! MCP servers that other programs started: those whose starter is gone, and those that run several times. They are
//! shown with the known facts, and left alone.

use std::collections::{BTreeMap, BTreeSet};

use exai_daemon::redacted_command::RedactedCommand;
use exai_os::inspect;
use exai_os::process::{self, ProcessInfo};

use super::outcome::{CheckOutcome, listed, size};
use super::recognise::looks_like_mcp_server;
use super::scene::Scene;
use super::second::{command_lines_are_known, is_exai};
use crate::commands::count;
use crate::time_span::span;

/// Programs that inherit processes whose parent has ended.
const ADOPTERS: [&str; 9] =
    ["systemd", "init", "launchd", "tini", "dumb-init", "catatonit", "s6-svscan", "runit", "docker-init"];

/// A process that looks like an MCP server, and everything below it.
struct Server<'a> {
    root: &'a ProcessInfo,
    /// Program and target, without arguments.
    name: String,
    why: String,
    rss_bytes: u64,
}

pub(super) fn foreign_servers(scene: &Scene) -> CheckOutcome {
    if !command_lines_are_known() {
        return CheckOutcome::skip("this system does not show what other processes run");
    }
    let servers = servers(scene);
    let orphans: Vec<&Server<'_>> = servers.iter().filter(|server| is_orphan(server, scene)).collect();
    let mut sentences = Vec::new();
    if orphans.len() > 1 {
        let bytes = orphans.iter().map(|server| server.rss_bytes).sum();
        sentences.push(format!(
            "{} without a starter, {} in all",
            count(orphans.len(), "MCP server"),
            size(bytes)
        ));
    }
    sentences.extend(orphans.iter().map(|server| orphan(server, scene)));
    let copies = copies(&servers, &orphans);
    sentences.extend(copies.iter().map(|group| several(group, scene)));
    if sentences.is_empty() {
        let others = if servers.is_empty() {
            "no MCP servers of other programs are seen".to_owned()
        } else {
            format!(
                "{} of other programs, each once and with its starter",
                count(servers.len(), "MCP server")
            )
        };
        return CheckOutcome::pass(others);
    }
    let mut fixes = Vec::new();
    if !orphans.is_empty() {
        fixes.push(
            "end what you do not need yourself (kill PID): exai leaves what it did not start alone"
                .to_owned(),
        );
    }
    if !copies.is_empty() {
        fixes.push(
            "`exai add NAME -- COMMAND` and `exai shim` in each client: then it runs once for all".to_owned(),
        );
    }
    CheckOutcome::warn(listed(&sentences)).fix(listed(&fixes))
}

fn servers(scene: &Scene) -> Vec<Server<'_>> {
    let me = std::process::id();
    let mut found: BTreeMap<u32, (&ProcessInfo, String, String)> = BTreeMap::new();
    for process in scene.processes.iter().filter(|process| !process.zombie && process.pid != me) {
        let args = process::command_line(process.pid).unwrap_or_default();
        let Some(why) = looks_like_mcp_server(&args) else { continue };
        if !inspect::is_of_this_account(process.pid).unwrap_or(false) || is_exai(process.pid) {
            continue;
        }
        let name = RedactedCommand::of(&args).map(|essence| essence.shown()).unwrap_or_default();
        found.insert(process.pid, (process, name, why));
    }
    // A launcher and its server count as one. A server that an exai daemon hosts is not foreign.
    let is_root = |pid: u32| {
        let mut above = scene.above(pid).map(|process| process.pid);
        !above.any(|pid| found.contains_key(&pid) || is_exai(pid))
    };
    let roots = found.iter().filter(|(pid, _)| is_root(**pid));
    roots
        .map(|(pid, (root, name, why))| Server {
            root,
            name: name.clone(),
            why: why.clone(),
            rss_bytes: memory(scene, *pid),
        })
        .collect()
}

/// Of the process and everything below it.
fn memory(scene: &Scene, root: u32) -> u64 {
    let below = |process: &&ProcessInfo| {
        process.pid == root || scene.above(process.pid).any(|above| above.pid == root)
    };
    scene.processes.iter().filter(below).map(|process| process.rss_bytes).sum()
}

fn is_orphan(server: &Server<'_>, scene: &Scene) -> bool {
    let parent = server.root.ppid;
    parent <= 1
        || scene.process(parent).is_none_or(|parent| ADOPTERS.contains(&parent.name.trim_start_matches('(')))
}

fn orphan(server: &Server<'_>, scene: &Scene) -> String {
    let pid = server.root.pid;
    let age = scene.age(pid).map_or_else(|| "unknown".to_owned(), span);
    let parent = match server.root.ppid {
        0 => "none".to_owned(),
        parent => scene.name(parent),
    };
    format!(
        "{} (pid {pid}, age {age}, {}) has lost its starter, or is a service: its parent is {parent}; {}",
        server.name,
        size(server.rss_bytes),
        server.why
    )
}

/// The same server several times, orphans not counted.
fn copies<'a, 's>(servers: &'a [Server<'s>], orphans: &[&Server<'s>]) -> Vec<Vec<&'a Server<'s>>> {
    let mut groups: BTreeMap<&str, Vec<&Server<'_>>> = BTreeMap::new();
    let with_parent =
        servers.iter().filter(|server| orphans.iter().all(|orphan| orphan.root.pid != server.root.pid));
    for server in with_parent {
        groups.entry(&server.name).or_default().push(server);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn several(group: &[&Server<'_>], scene: &Scene) -> String {
    let bytes = group.iter().map(|server| server.rss_bytes).sum();
    let starters: BTreeSet<u32> = group.iter().map(|server| server.root.ppid).collect();
    let starters: Vec<String> = starters.into_iter().map(|pid| scene.name(pid)).collect();
    let pids: Vec<String> = group.iter().map(|server| server.root.pid.to_string()).collect();
    let name = group.first().map_or("", |server| &server.name);
    format!(
        "{} copies of {name} ({}, pids {}), started by {}",
        group.len(),
        size(bytes),
        pids.join(", "),
        listed(&starters).replace("; ", ", ")
    )
}
