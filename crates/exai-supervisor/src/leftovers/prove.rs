//! Which living processes belong to a tree, and what proves it.

use exai_os::process::{Identity, ProcessInfo, identify};

use super::found::{LeftProcess, LeftTree, Predecessor, Verdict, env_marker};
use super::table::Table;
use crate::record::{Containment, SCHEMA, TreeRecord, TreeRole};

/// Adds the processes that live now to those of the tree. Processes that were proven before stay proven, so that
/// their children are found again.
pub(super) fn look(tree: &mut LeftTree, table: &Table) {
    if tree.record.daemon.boot != table.boot() {
        if let Some(file) = &mut tree.file {
            file.reason = format!("the record of {}, of an earlier boot", tree.record.id);
        }
        return;
    }
    by_record(tree, table);
    by_words(tree, table);
    by_descent_tag(tree, table);
    by_descent(tree, table);
    by_marker_alone(tree, table);
}

/// The trees of a dead daemon that have no record: the marker of a process names the daemon, and the process has the
/// descent tag that belongs to the marker. A descent tag can only be inherited, and all other processes of the tree
/// are found by it.
pub(super) fn unrecorded(last: &Predecessor, recorded: &[LeftTree], table: &Table) -> Vec<LeftTree> {
    let mut found: Vec<LeftTree> = Vec::new();
    if last.identity.boot != table.boot() {
        return found;
    }
    for row in table.with_env_marker().filter(|row| row.start >= last.identity.start) {
        let Some((nonce, id)) = table.env_marker(row).and_then(|mark| mark.split_once('.')) else { continue };
        let known = |tree: &LeftTree| tree.record.instance == nonce && tree.record.id == id;
        if nonce != last.instance || recorded.iter().chain(&found).any(known) {
            continue;
        }
        let record = |containment| TreeRecord {
            schema: SCHEMA,
            instance: nonce.to_owned(),
            daemon: last.identity.clone(),
            server: id.split('#').next().unwrap_or(id).to_owned(),
            id: id.to_owned(),
            started_at: String::new(),
            containment,
            processes: Vec::new(),
        };
        let record = [Containment::Strict, Containment::Group].map(record).into_iter().find(|record| {
            table
                .with_descent_tag(record.descent_tag())
                .any(|with_descent_tag| with_descent_tag.pid == row.pid)
        });
        found.extend(record.map(|record| LeftTree { record, file: None, processes: Vec::new() }));
    }
    found
}

fn by_record(tree: &mut LeftTree, table: &Table) {
    for recorded in tree.record.processes.clone() {
        let Some(now) = table.at(recorded.identity.pid) else { continue };
        if recorded.pid != recorded.identity.pid {
            stranger(tree, table, now, "its record gives it two numbers");
        } else if table.living(&recorded.identity).is_none() {
            stranger(tree, table, now, "identity does not match the record");
        } else if recorded.place != TreeRole::Member || in_reach(tree, table, now) {
            let proof =
                format!("its identity (boot, pid, start time) equals the record of {}", tree.record.id);
            ours(tree, table, now, recorded.place, proof);
        }
    }
}

/// The arguments of a guard name its tree. The guard may have started after the last record was written. A child of
/// the guard with the same arguments is the root before it executes its program.
fn by_words(tree: &mut LeftTree, table: &Table) {
    let since = tree.record.daemon.start;
    let says_so = |[nonce, id]: &[String; 2]| *nonce == tree.record.instance && *id == tree.record.id;
    let said = table.guards().filter(|(row, words)| row.start >= since && says_so(words));
    let rows: Vec<&ProcessInfo> = said.map(|(row, _)| row).collect();
    let guards = rows.iter().filter(|row| !rows.iter().any(|parent| parent.pid == row.ppid));
    for row in guards {
        let proof = format!("its arguments name it the guard of {} of the daemon that died", tree.record.id);
        ours(tree, table, row, TreeRole::Guard, proof);
    }
}

/// The kernel hands a descent tag from parent to child and to no other process.
fn by_descent_tag(tree: &mut LeftTree, table: &Table) {
    let (descent_tag, since) = (tree.record.descent_tag(), tree.record.daemon.start);
    for row in table.with_descent_tag(descent_tag).filter(|row| row.start >= since) {
        if in_reach(tree, table, row) {
            let proof = format!("it has inherited the descent tag of {}", tree.record.id);
            ours(tree, table, row, TreeRole::Member, proof);
        }
    }
}

fn by_descent(tree: &mut LeftTree, table: &Table) {
    let proven = tree.processes.iter().filter(|process| process.is_ours());
    let mut open: Vec<&ProcessInfo> = proven.filter_map(|process| table.living(&process.identity)).collect();
    while let Some(parent) = open.pop() {
        for child in table.children(parent) {
            let known = tree.processes.iter().any(|known| table.living(&known.identity) == Some(child));
            let new = !known || is_doubted(tree, table, child);
            if new && in_reach(tree, table, child) {
                let place = if recorded_root(tree).is_none() && is_guard(tree, parent) {
                    TreeRole::Root
                } else {
                    TreeRole::Member
                };
                let proof = format!("it descends from pid {}, which is of {}", parent.pid, tree.record.id);
                if ours(tree, table, child, place, proof) {
                    open.push(child);
                }
            }
        }
    }
}

/// Every process that a server starts inherits the marker, even one that is meant to outlive the server.
fn by_marker_alone(tree: &mut LeftTree, table: &Table) {
    if tree.record.containment == Containment::Group {
        return; // a process that left the group is meant to stay
    }
    let since = tree.record.daemon.start;
    for row in table.with_env_marker().filter(|row| row.start >= since) {
        if !has_mark(tree, table, row) {
            continue;
        }
        let known = tree.processes.iter().any(|known| table.living(&known.identity) == Some(row));
        if !known && table.never(row).is_none() {
            let reason = format!("its environment names {}, and nothing else proves it", tree.record.id);
            add(tree, table, row, None, Verdict::Unproven { reason });
        }
    }
}

fn recorded_root(tree: &LeftTree) -> Option<&Identity> {
    let root = tree.record.processes.iter().find(|process| process.place == TreeRole::Root);
    root.map(|root| &root.identity)
}

fn is_guard(tree: &LeftTree, row: &ProcessInfo) -> bool {
    tree.guard().is_some_and(|guard| guard.identity.pid == row.pid)
}

/// Whether a process is in the list with a verdict that a proof can still change.
fn is_doubted(tree: &LeftTree, table: &Table, row: &ProcessInfo) -> bool {
    let mut doubted = tree.processes.iter().filter(|known| !known.is_ours() && known.place.is_none());
    doubted.any(|known| table.living(&known.identity) == Some(row))
}

/// With `containment = "group"` a process that left the root's group is meant to stay. A root that is not in
/// the record yet is a child of the guard that leads a group.
fn in_reach(tree: &LeftTree, table: &Table, row: &ProcessInfo) -> bool {
    if tree.record.containment == Containment::Strict || row.pgid == 0 {
        return true;
    }
    let leads = |group: u32| {
        let leader = table.at(group).filter(|leader| leader.pgid == group);
        let guard = tree.guard().map(|guard| guard.identity.pid);
        leader.is_some_and(|leader| Some(leader.ppid) == guard)
    };
    recorded_root(tree).is_some_and(|root| root.pid == row.pgid) || leads(row.pgid)
}

fn has_mark(tree: &LeftTree, table: &Table, row: &ProcessInfo) -> bool {
    table.env_marker(row) == Some(&env_marker(&tree.record.instance, &tree.record.id))
}

/// Adds a proven process. Returns `false` when the process must not be ended, or is not the same any more.
fn ours(tree: &mut LeftTree, table: &Table, row: &ProcessInfo, place: TreeRole, proof: String) -> bool {
    let verdict = match table.never(row) {
        None => Verdict::Ours { proof },
        Some(_) if !is_still_there(table, row) => return false,
        Some(reason) => Verdict::Unproven { reason: format!("{proof}; but {reason}") },
    };
    let ours = matches!(verdict, Verdict::Ours { .. });
    add(tree, table, row, Some(place), verdict);
    ours
}

fn is_still_there(table: &Table, row: &ProcessInfo) -> bool {
    identify(row.pid).ok().flatten() == Some(table.identity(row))
}

fn stranger(tree: &mut LeftTree, table: &Table, row: &ProcessInfo, reason: &str) {
    add(tree, table, row, None, Verdict::Stranger { reason: reason.to_owned() });
}

/// Keeps one entry for each process; a proof replaces a doubt.
fn add(tree: &mut LeftTree, table: &Table, row: &ProcessInfo, place: Option<TreeRole>, verdict: Verdict) {
    let identity = table.identity(row);
    let new = LeftProcess {
        identity,
        name: row.name.clone(),
        place,
        rss_bytes: row.rss_bytes,
        verdict,
        outcome: None,
    };
    match tree.processes.iter_mut().find(|known| known.identity == new.identity) {
        None => tree.processes.push(new),
        Some(known) if !known.is_ours() && new.is_ours() => *known = new,
        Some(_) => {}
    }
}
