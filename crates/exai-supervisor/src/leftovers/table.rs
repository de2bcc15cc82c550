//! A snapshot of all processes, and which of them are never touched.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::io;

use exai_os::descent_tag::DescentTag;
use exai_os::ownership::{process_is_ours, runs_our_program};
use exai_os::process::{self, Identity, ProcessInfo, command_line, identify};
use exai_os::process_facts::environment_variable;

use super::found::ENV_MARKER;

pub(super) struct Table {
    boot: String,
    rows: HashMap<u32, ProcessInfo>,
    children: HashMap<u32, Vec<u32>>,
    /// This process and those above it.
    own: HashSet<u32>,
    spared: Option<u32>,
    descent_tags: OnceCell<HashMap<u32, DescentTag>>,
    env_markers: OnceCell<HashMap<u32, String>>,
    guards: OnceCell<HashMap<u32, [String; 2]>>,
}

impl Table {
    /// `spared` is the living daemon.
    pub(super) fn take(spared: Option<u32>) -> io::Result<Table> {
        let me = process::current()?;
        let above = process::ancestors(me.pid)?;
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut rows = HashMap::new();
        // A zombie counts as gone.
        for row in process::snapshot()?.into_iter().filter(|row| !row.zombie) {
            children.entry(row.ppid).or_default().push(row.pid);
            rows.insert(row.pid, row);
        }
        let own = above.iter().map(|row| row.pid).chain([me.pid]).collect();
        Ok(Table {
            boot: me.boot,
            rows,
            children,
            own,
            spared,
            descent_tags: OnceCell::new(),
            env_markers: OnceCell::new(),
            guards: OnceCell::new(),
        })
    }

    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// The process that has this number now.
    pub(super) fn at(&self, pid: u32) -> Option<&ProcessInfo> {
        self.rows.get(&pid)
    }

    /// The process with this identity, if it lives.
    pub(super) fn living(&self, identity: &Identity) -> Option<&ProcessInfo> {
        self.at(identity.pid).filter(|row| identity.boot == self.boot && identity.start == row.start)
    }

    pub(super) fn identity(&self, row: &ProcessInfo) -> Identity {
        Identity { boot: self.boot.clone(), pid: row.pid, start: row.start }
    }

    /// The children of a process. A child that is older than its parent is the child of an earlier process with that
    /// number.
    pub(super) fn children<'a>(&'a self, parent: &'a ProcessInfo) -> impl Iterator<Item = &'a ProcessInfo> {
        let pids = self.children.get(&parent.pid).into_iter().flatten();
        pids.filter_map(|pid| self.rows.get(pid))
            .filter(|child| child.start >= parent.start && child.pid != parent.pid)
    }

    /// The processes that have this descent tag.
    pub(super) fn with_descent_tag(&self, descent_tag: DescentTag) -> impl Iterator<Item = &ProcessInfo> {
        let all =
            self.descent_tags.get_or_init(|| self.collect(|row| DescentTag::of(row.pid).ok().flatten()));
        all.iter().filter(move |(_, one)| **one == descent_tag).filter_map(|(pid, _)| self.at(*pid))
    }

    /// The tree that a process names in its environment. Processes of other accounts are not read.
    pub(super) fn env_marker(&self, row: &ProcessInfo) -> Option<&str> {
        self.env_markers().get(&row.pid).map(String::as_str)
    }

    /// The processes that name a tree.
    pub(super) fn with_env_marker(&self) -> impl Iterator<Item = &ProcessInfo> {
        self.env_markers().keys().filter_map(|pid| self.at(*pid))
    }

    fn env_markers(&self) -> &HashMap<u32, String> {
        let marker = |row: &ProcessInfo| environment_variable(row.pid, ENV_MARKER).ok().flatten();
        self.env_markers.get_or_init(|| self.collect(marker))
    }

    /// The guards, each with the nonce and the tree that it names in its arguments.
    pub(super) fn guards(&self) -> impl Iterator<Item = (&ProcessInfo, &[String; 2])> {
        let all = self.guards.get_or_init(|| self.collect(guard_argv_proof));
        all.iter().filter_map(|(pid, words)| Some((self.at(*pid)?, words)))
    }

    /// Reads something about each process of our account. The identity is read last, so that it was this process that
    /// was read and not the next one with its number.
    fn collect<T>(&self, see: impl Fn(&ProcessInfo) -> Option<T>) -> HashMap<u32, T> {
        let mut all = HashMap::new();
        for row in self.rows.values().filter(|row| process_is_ours(row.pid).unwrap_or(false)) {
            let Some(seen) = see(row) else { continue };
            if identify(row.pid).ok().flatten() == Some(self.identity(row)) {
                all.insert(row.pid, seen);
            }
        }
        all
    }

    /// Why this process must never be ended, whatever proves that it is ours.
    pub(super) fn never(&self, row: &ProcessInfo) -> Option<&'static str> {
        match process_is_ours(row.pid) {
            _ if row.pid <= 1 => Some("it is the system's first process"),
            _ if row.pid == std::process::id() => Some("it is this process"),
            _ if self.own.contains(&row.pid) => Some("this process descends from it"),
            _ if self.spared == Some(row.pid) => Some("it is the daemon that runs"),
            Ok(true) => None,
            Ok(false) => Some("it belongs to another account"),
            Err(_) => Some("the system does not say whose it is"),
        }
    }
}

fn guard_argv_proof(row: &ProcessInfo) -> Option<[String; 2]> {
    let named = row.name.strip_suffix(".exe").unwrap_or(&row.name) == "exai";
    if !(named || runs_our_program(row.pid).unwrap_or(false)) {
        return None;
    }
    match command_line(row.pid).ok()?.as_slice() {
        [_, verb, nonce, id, ..] if verb == "guard" => Some([nonce.clone(), id.clone()]),
        _ => None,
    }
}
