//! Observes the kernel's tables all the time: daemons, guards and every process of every tree. Windows has no guards,
//! and no tables of the holders of locks or of the listeners at pipes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use exai_os::descent_tag::DescentTag;
use exai_os::process::{self, Identity, ProcessInfo};
use exai_os::process_facts::environment_variable;
use exai_supervisor::record::TreeRecord;

use crate::support::Instance;

const PERIOD: Duration = Duration::from_millis(4);

/// The pid and the start time of a process.
pub(super) type Key = (u32, u64);

pub(super) struct World {
    home: PathBuf,
    token: String,
    boot: String,
    pub(super) over: AtomicBool,
    state: Mutex<State>,
}

/// All processes of exai at one moment.
#[derive(Default, Clone)]
pub(super) struct Scene {
    pub(super) daemons: Vec<Identity>,
    pub(super) guards: Vec<Identity>,
    /// The processes of all trees: roots, launchers, servers and helpers.
    pub(super) members: Vec<Identity>,
}

/// A process that belongs to no tree of the running daemon.
#[derive(Debug)]
#[expect(dead_code, reason = "a failure shows all of it")]
pub(super) struct Left {
    pub(super) process: ProcessInfo,
    whose: String,
    marked: bool,
    recorded: bool,
    descent_tag: Option<DescentTag>,
}

#[derive(Default)]
struct State {
    scene: Scene,
    daemons: HashSet<Key>,
    guards: HashSet<Key>,
    /// All processes that were ever seen below a guard, with the arguments of that guard.
    members: HashMap<Key, String>,
    /// All processes that a record named at the moment of a kill.
    recorded: HashSet<Key>,
    /// The inodes of all files that ever had the name `instance.lock`.
    locks: BTreeSet<u64>,
    looks: u32,
    complaints: Vec<String>,
}

impl World {
    pub(super) fn new(instance: &Instance, token: &str) -> Self {
        let boot = process::current().expect("this process").boot;
        World {
            home: instance.home(),
            token: token.to_owned(),
            boot,
            over: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    pub(super) fn watch(&self) {
        let mut suspects = BTreeSet::new();
        while !self.over.load(Ordering::Relaxed) {
            let table = table();
            self.look(&table);
            if cfg!(windows) {
                thread::sleep(PERIOD);
                continue;
            }
            self.look_for_two_holders();
            let listening = self.listening();
            // The table of sockets is no snapshot of one moment. But two sockets that were both in two tables existed
            // at once.
            let twice: BTreeSet<&String> = listening.intersection(&suspects).collect();
            if twice.len() > 1 {
                self.state.lock().expect("a state").complaints.push(format!("two daemons listen: {twice:?}"));
            }
            let again = listening.len() > 1;
            suspects = listening;
            if !again {
                thread::sleep(PERIOD);
            }
        }
    }

    fn look(&self, table: &[ProcessInfo]) {
        let identity =
            |one: &ProcessInfo| Identity { boot: self.boot.clone(), pid: one.pid, start: one.start };
        let mut scene = Scene::default();
        let mut trees = Vec::new();
        for one in table.iter().filter(|one| is_exai(one) && !one.zombie) {
            let args = process::command_line(one.pid).unwrap_or_default();
            match args.get(1).map(String::as_str) {
                Some("serve") if self.is_of_home(one) => {
                    scene.daemons.push(identity(one));
                    if cfg!(windows) {
                        trees.push((one, format!("a server of daemon {}", one.pid)));
                    }
                }
                Some("guard") if self.is_of_home(one) => {
                    scene.guards.push(identity(one));
                    trees.push((one, args[2..].join(" ")));
                }
                _ => {}
            }
        }
        let mut state = self.state.lock().expect("a state");
        let state = &mut *state;
        for (top, whose) in trees {
            for one in process::descendants(table, top.pid).into_iter().filter(|one| !one.zombie) {
                state.members.entry((one.pid, one.start)).or_insert_with(|| whose.clone());
                scene.members.push(identity(&one));
            }
        }
        // Children of a process that has lost its guard belong to the same tree.
        let orphans =
            table.iter().filter(|one| !one.zombie && state.members.contains_key(&(one.pid, one.start)));
        let mut new = Vec::new();
        for one in orphans {
            let whose = state.members[&(one.pid, one.start)].clone();
            let below = process::descendants(table, one.pid).into_iter().filter(|one| !one.zombie);
            new.extend(below.map(|one| ((one.pid, one.start), whose.clone())));
        }
        for (key, whose) in new {
            state.members.entry(key).or_insert(whose);
        }
        state.daemons.extend(scene.daemons.iter().map(|one| (one.pid, one.start)));
        state.guards.extend(scene.guards.iter().map(|one| (one.pid, one.start)));
        state.scene = scene;
        state.looks += 1;
    }

    fn is_of_home(&self, one: &ProcessInfo) -> bool {
        let home = environment_variable(one.pid, "EXAI_HOME").ok().flatten();
        home.as_deref() == self.home.to_str()
    }

    fn look_for_two_holders(&self) {
        let mut state = self.state.lock().expect("a state");
        #[cfg(unix)]
        if let Ok(metadata) = std::fs::metadata(self.home.join("instance.lock")) {
            state.locks.insert(std::os::unix::fs::MetadataExt::ino(&metadata));
        }
        // This table is a snapshot of one moment: the kernel prints whole pages of it, and the machine has few locks.
        let locks = std::fs::read_to_string("/proc/locks").expect("the lock table");
        let holders: BTreeSet<&str> = locks
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .filter(|words| words.get(1) != Some(&"->") && words.get(3) == Some(&"WRITE"))
            .filter(|words| {
                let inode =
                    words.get(5).and_then(|file| file.rsplit(':').next()).and_then(|ino| ino.parse().ok());
                inode.is_some_and(|inode: u64| state.locks.contains(&inode))
            })
            .filter_map(|words| words.get(4).copied())
            .collect();
        if holders.len() > 1 {
            let said = format!("instance.lock has {} holders: {holders:?}", holders.len());
            state.complaints.push(said);
        }
    }

    fn listening(&self) -> BTreeSet<String> {
        let place = format!("{}/s-", self.home.display());
        let sockets = std::fs::read_to_string("/proc/net/unix").expect("the socket table");
        let listening = sockets.lines().filter(|line| line.contains(" 00010000 "));
        listening.filter_map(|line| line.find(&place).map(|at| line[at..].to_owned())).collect()
    }

    /// Notes the processes in the current records, which show what a dead daemon knew.
    pub(super) fn note_records(&self) {
        let Ok(entries) = std::fs::read_dir(self.home.join("servers")) else { return };
        // A record that disappears meanwhile belongs to a tree that has ended.
        let records = entries.flatten().filter_map(|entry| TreeRecord::read(&entry.path()).ok());
        let keys = records.flat_map(|record| record.processes).map(|one| (one.pid, one.identity.start));
        self.state.lock().expect("a state").recorded.extend(keys);
    }

    pub(super) fn scene(&self) -> Scene {
        self.state.lock().expect("a state").scene.clone()
    }

    /// The processes that were seen in a tree, or whose marks name one, but that are in no tree of the running daemon.
    pub(super) fn left_over(&self, decoys: &BTreeSet<u32>, instance: &Instance) -> Vec<Left> {
        let listed = if cfg!(windows) { listed(instance) } else { HashSet::new() };
        let table = table();
        self.look(&table);
        let daemon = self.scene().daemons.first().map(|daemon| daemon.pid);
        let guards = table.iter().filter(|one| is_exai(one) && Some(one.ppid) == daemon);
        let mut hosted: HashSet<Key> = guards
            .flat_map(|guard| process::descendants(&table, guard.pid).into_iter().chain([guard.clone()]))
            .map(|one| (one.pid, one.start))
            .collect();
        hosted.extend(table.iter().filter(|one| listed.contains(&one.pid)).map(|one| (one.pid, one.start)));
        let state = self.state.lock().expect("a state");
        let left = table.iter().filter(|one| {
            let key = (one.pid, one.start);
            let seen = state.members.contains_key(&key) || state.guards.contains(&key);
            let is_daemon = Some(one.pid) == daemon;
            !one.zombie
                && !hosted.contains(&key)
                && !decoys.contains(&one.pid)
                && !is_daemon
                && (seen || (self.is_ours(one) && !is_shim(one)))
        });
        left.map(|one| {
            let whose =
                state.members.get(&(one.pid, one.start)).map_or("never seen in a tree", String::as_str);
            let key = (one.pid, one.start);
            let marked = environment_variable(one.pid, "EXAI_OWNER").is_ok_and(|mark| mark.is_some());
            let recorded = state.recorded.contains(&key);
            let descent_tag = DescentTag::of(one.pid).ok().flatten();
            Left { process: one.clone(), whose: whose.to_owned(), marked, recorded, descent_tag }
        })
        .collect()
    }

    /// All processes with the marks of this run, except the decoys.
    pub(super) fn everybody_of_ours(&self, decoys: &BTreeSet<u32>) -> Vec<ProcessInfo> {
        let table = table();
        let state = self.state.lock().expect("a state");
        let ours = |one: &ProcessInfo| self.is_ours(one) || state.members.contains_key(&(one.pid, one.start));
        table.into_iter().filter(|one| !one.zombie && !decoys.contains(&one.pid) && ours(one)).collect()
    }

    fn is_ours(&self, one: &ProcessInfo) -> bool {
        let named =
            || process::command_line(one.pid).unwrap_or_default().iter().any(|arg| arg.contains(&self.token));
        self.is_of_home(one) || named()
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.state.lock().expect("a state").complaints.clone()
    }

    pub(super) fn figures(&self) -> String {
        let state = self.state.lock().expect("a state");
        let plain = state.members.values().collect::<HashSet<_>>().len();
        format!(
            "{} looks: {} daemons, {} guards, {plain} trees with {} processes",
            state.looks,
            state.daemons.len(),
            state.guards.len(),
            state.members.len()
        )
    }
}

/// All processes except those that Windows itself adds, one for each console.
fn table() -> Vec<ProcessInfo> {
    let all = process::snapshot().expect("the process table");
    all.into_iter().filter(|one| one.name != "conhost.exe").collect()
}

fn is_exai(one: &ProcessInfo) -> bool {
    one.name.strip_suffix(EXE_SUFFIX) == Some("exai")
}

/// The pids that the daemon lists for its servers. On Windows a tree consists of the processes in a job, and only the
/// daemon, as the owner of the job, can list these.
fn listed(instance: &Instance) -> HashSet<u32> {
    let ps = instance.json(&["ps", "--json"]);
    let rows = ps["processes"].as_array().expect("processes").iter().filter(|row| row["of"].is_string());
    rows.filter_map(|row| row["pid"].as_u64()?.try_into().ok()).collect()
}

fn is_shim(one: &ProcessInfo) -> bool {
    process::command_line(one.pid).unwrap_or_default().get(1).is_some_and(|arg| arg == "shim")
}
