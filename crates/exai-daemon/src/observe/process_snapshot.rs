//! All processes of the system at one moment. `status` and `ps` are made of it.

use std::collections::BTreeMap;

use exai_mux::InstanceId;
use exai_os::process::{self, ProcessInfo};
use exai_proto::documents::{Explanation, Process, Processes, Ps, Role, SCHEMA, Unexpected};
use exai_supervisor::tree::{self, Facts as Member, Judged, Judgement};

use crate::observe::facts::Facts;

/// A snapshot.
pub(crate) struct ProcessSnapshot {
    /// The process table.
    pub(crate) table: Vec<ProcessInfo>,
    trees: BTreeMap<InstanceId, TreeSnapshot>,
    unexpected: Vec<Unexpected>,
    /// The connected shims: pid, and the id of the client.
    shims: Vec<(u32, String)>,
}

/// One tree, with the role of each member.
pub(crate) struct TreeSnapshot {
    id: String,
    pub(crate) guard: Option<u32>,
    members: Vec<Member>,
    judgement: Judgement,
}

impl TreeSnapshot {
    /// The members that descend from the root: all except the guard.
    fn counted(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| Some(member.process.pid) != self.guard)
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|member| member.process.pid)
    }

    pub(crate) fn processes(&self) -> u32 {
        self.counted().count() as u32
    }

    pub(crate) fn rss_bytes(&self) -> u64 {
        self.counted().map(|member| member.process.rss_bytes).sum()
    }

    pub(crate) fn server(&self) -> Option<u32> {
        self.judgement.server
    }
}

impl ProcessSnapshot {
    /// Takes a snapshot: one pass over the process table, and a look at each process of each tree.
    pub(crate) fn take(facts: &Facts) -> Self {
        let table = process::snapshot().unwrap_or_default();
        let tree = |monitored: &crate::observe::monitored_tree::MonitoredTree| {
            let members = tree::look(&monitored.members(&table), monitored.pipes);
            TreeSnapshot {
                id: monitored.record.id.clone(),
                guard: monitored.guard().map(|guard| guard.pid),
                judgement: monitored.judge(&members),
                members,
            }
        };
        let trees =
            facts.monitor.trees().iter().map(|(&instance, monitored)| (instance, tree(monitored))).collect();
        let mut snapshot =
            ProcessSnapshot { trees, unexpected: facts.monitor.unexpected(), shims: facts.shims(), table };
        // A server may be a client as well. Its shim is a member of its tree already.
        let members: Vec<u32> = snapshot.trees.values().flat_map(TreeSnapshot::pids).collect();
        snapshot.shims.retain(|(pid, _)| !members.contains(pid));
        // An unexpected process was found by the last look, and may have ended since.
        let unexpected = std::mem::take(&mut snapshot.unexpected);
        snapshot.unexpected = unexpected.into_iter().filter(|one| snapshot.alive(one.pid)).collect();
        snapshot
    }

    pub(crate) fn tree(&self, instance: InstanceId) -> Option<&TreeSnapshot> {
        self.trees.get(&instance)
    }

    pub(crate) fn alive(&self, pid: u32) -> bool {
        self.row(pid).is_some()
    }

    fn row(&self, pid: u32) -> Option<&ProcessInfo> {
        self.table.iter().find(|process| process.pid == pid && !process.zombie)
    }

    pub(crate) fn parent(&self, pid: u32) -> Option<u32> {
        self.row(pid).map(|process| process.ppid).filter(|parent| *parent > 0)
    }

    /// How many processes there should be, and how many there are.
    pub(crate) fn budget(&self) -> Processes {
        let mut pids: Vec<u32> = self.shims.iter().map(|(pid, _)| *pid).collect();
        pids.extend(self.trees.values().filter_map(|tree| tree.guard));
        pids.sort_unstable();
        pids.dedup();
        let members: u32 = self.trees.values().map(TreeSnapshot::processes).sum();
        let there = pids.iter().filter(|pid| self.alive(**pid)).count() as u32;
        // The members of a tree that is too large are counted already.
        let extra =
            self.unexpected.iter().filter(|one| one.kind != "too-many" && self.alive(one.pid)).count();
        Processes {
            expected: 1 + pids.len() as u32 + members,
            actual: 1 + there + members + extra as u32,
            unexpected: self.unexpected.clone(),
        }
    }

    /// The document of `exai ps`.
    pub(crate) fn ps(&self, facts: &Facts) -> Ps {
        let Processes { expected, actual, unexpected } = self.budget();
        let mut processes = self.above_the_daemon(facts);
        processes.extend(self.daemon(facts));
        for (pid, client) in &self.shims {
            processes.extend(self.shim(*pid, client, &processes));
        }
        let mut explanations = Vec::new();
        for tree in self.trees.values() {
            processes
                .extend(tree.members.iter().zip(&tree.judgement.processes).map(|(m, j)| member(tree, m, j)));
            let text = tree.judgement.explanation.clone();
            explanations.extend(text.map(|text| Explanation { of: tree.id.clone(), text }));
        }
        for process in &mut processes {
            let of = process.of.as_deref();
            process.era = match process.role {
                Role::Server => of.and_then(|of| facts.era_of_instance(of)),
                Role::Shim => of.and_then(|of| facts.era_of_client(of)),
                _ => None,
            };
        }
        Ps { schema: SCHEMA, expected, actual, unexpected, processes, explanations }
    }

    fn above_the_daemon(&self, facts: &Facts) -> Vec<Process> {
        let launchers = facts.daemon.launchers.iter().rev();
        // A client whose shim has started the daemon is a client and not only a launcher.
        let clients: Vec<u32> = self.shims.iter().filter_map(|(pid, _)| self.parent(*pid)).collect();
        let launchers = launchers.filter(|launcher| !clients.contains(&launcher.pid));
        let living = launchers.filter_map(|launcher| Some((launcher, self.row(launcher.pid)?)));
        living
            .map(|(launcher, row)| Process {
                kind: Some(launcher.kind.clone()),
                ..process(row, Role::Launcher, Some("daemon"), false, &["is above the daemon"])
            })
            .collect()
    }

    fn daemon(&self, facts: &Facts) -> Option<Process> {
        let mut evidence = vec!["holds instance.lock".to_owned(), "answers on the local socket".to_owned()];
        let tcp = facts
            .daemon
            .verify_listeners()
            .into_iter()
            .filter(|listener| listener.kind == "tcp" && listener.verified);
        evidence.extend(tcp.map(|listener| format!("owns the LISTEN socket {}", listener.addr)));
        let row = self.row(facts.daemon.pid)?;
        Some(Process { evidence, ..process(row, Role::Daemon, None, true, &[]) })
    }

    /// A shim, and the client above it unless that is listed already.
    fn shim(&self, pid: u32, client: &str, listed: &[Process]) -> Vec<Process> {
        let Some(row) = self.row(pid) else { return Vec::new() };
        let above = self.row(row.ppid).filter(|parent| parent.pid > 1);
        let above = above.filter(|parent| !listed.iter().any(|one| one.pid == parent.pid));
        let above = above
            .map(|parent| process(parent, Role::Client, Some(client), false, &["is the parent of a shim"]));
        let evidence = ["is connected to the local socket", "named so by the kernel"];
        above.into_iter().chain([process(row, Role::Shim, Some(client), true, &evidence)]).collect()
    }
}

fn process(row: &ProcessInfo, role: Role, of: Option<&str>, counted: bool, evidence: &[&str]) -> Process {
    let started = exai_os::process_facts::started_at(row.start).ok().flatten();
    Process {
        pid: row.pid,
        ppid: row.ppid,
        role,
        of: of.map(str::to_owned),
        kind: None,
        name: row.name.clone(),
        started_at: started
            .and_then(|time| jiff::Timestamp::try_from(time).ok())
            .map(|time| time.to_string()),
        rss_bytes: row.rss_bytes,
        counted,
        confirmed: None,
        evidence: evidence.iter().map(|&text| text.to_owned()).collect(),
        era: None,
    }
}

fn member(tree: &TreeSnapshot, member: &Member, judged: &Judged) -> Process {
    let (role, kind, confirmed) = match judged.role {
        tree::Role::Guard => (Role::Guard, None, None),
        tree::Role::Launcher { kind } => (Role::Launcher, kind, None),
        tree::Role::Server { confirmed } => (Role::Server, None, Some(confirmed)),
        tree::Role::Helper => (Role::Helper, None, None),
    };
    Process {
        kind: kind.map(str::to_owned),
        confirmed,
        name: judged.name.clone(),
        evidence: judged.evidence.clone(),
        ..process(&member.process, role, Some(&tree.id), true, &[])
    }
}
