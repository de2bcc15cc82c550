//! A seeded generator decides which process is killed when. Decoys only look like processes that should be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use exai_os::process::{self, Identity, Kill, Killed};
use exai_os::process_facts::environment_variable;
use exai_test::{Random, program};

use super::clients::Clients;
use super::world::World;
use crate::support::Instance;

/// The longest pause between two kills.
const PAUSE_MS: u64 = 60;
/// The longest time in which the killer may find no process to kill.
const MISSING: Duration = Duration::from_secs(20);
const DECOYS: usize = 6;

pub(super) struct Killer<'a> {
    random: Random,
    world: &'a World,
    clients: &'a Clients,
    token: &'a str,
    done: u32,
    kinds: BTreeMap<&'static str, u32>,
    decoys: Vec<(Child, Identity)>,
}

impl<'a> Killer<'a> {
    pub(super) fn new(seed: u64, world: &'a World, clients: &'a Clients, token: &'a str) -> Self {
        Killer {
            random: Random::new(seed),
            world,
            clients,
            token,
            done: 0,
            kinds: BTreeMap::new(),
            decoys: Vec::new(),
        }
    }

    /// The number of processes killed so far.
    pub(super) fn done(&self) -> u32 {
        self.done
    }

    pub(super) fn burst(&mut self, count: u32) {
        let end = self.done + count;
        let mut since = Instant::now();
        while self.done < end {
            thread::sleep(Duration::from_millis(self.below(PAUSE_MS + 1)));
            let before = self.done;
            self.kill();
            if self.done > before {
                since = Instant::now();
            }
            assert!(since.elapsed() < MISSING, "nobody is there who can be killed");
        }
    }

    fn kill(&mut self) {
        let scene = self.world.scene();
        let (kind, victims) = match self.below(100) {
            0..15 => ("daemon", self.pick(&scene.daemons, 1)),
            15..35 => ("guard", self.pick(&scene.guards, 1)),
            35..45 => {
                let both = [self.pick(&scene.daemons, 1), self.pick(&scene.guards, 1)].concat();
                ("daemon and guard", if both.len() == 2 { both } else { Vec::new() })
            }
            45..75 => ("of a tree", self.pick(&scene.members, 1)),
            75..90 => {
                let number = self.below(1000) as usize;
                ("shim", self.clients.victim(number).into_iter().collect())
            }
            _ => {
                let two = self.pick(&scene.guards, 2);
                ("two guards", if two.len() == 2 { two } else { Vec::new() })
            }
        };
        let hit = at_once(&victims);
        self.world.note_records();
        if hit > 0 {
            self.done += 1;
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    fn pick(&mut self, all: &[Identity], count: usize) -> Vec<Identity> {
        let mut all = all.to_vec();
        let mut picked = Vec::new();
        while picked.len() < count && !all.is_empty() {
            picked.push(all.swap_remove(self.below(all.len() as u64) as usize));
        }
        picked
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.number() % bound
    }

    /// Starts a decoy: a process with the program and the arguments of a server, and with the marks of a living tree.
    pub(super) fn add_decoy(&mut self, instance: &Instance) {
        if self.decoys.len() == DECOYS {
            return;
        }
        let mark = |one: &Identity| environment_variable(one.pid, "EXAI_OWNER").ok().flatten();
        let Some(mark) = self.world.scene().members.iter().find_map(mark) else { return };
        let mut command = Command::new(program("fixture-server"));
        command.args(["--name", self.token]).args(self.decoys.len().is_multiple_of(2).then_some("--sleep"));
        command.env("EXAI_OWNER", mark).env("EXAI_HOME", instance.home());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let decoy = command.spawn().expect("a decoy starts");
        let identity = process::identify(decoy.id()).expect("the process table").expect("it lives");
        self.decoys.push((decoy, identity));
    }

    pub(super) fn decoys(&self) -> BTreeSet<u32> {
        self.decoys.iter().map(|(_, identity)| identity.pid).collect()
    }

    #[track_caller]
    pub(super) fn decoys_live(&self) {
        assert!(!self.decoys.is_empty(), "this tests nothing");
        for (_, identity) in &self.decoys {
            let now = process::identify(identity.pid).expect("the process table");
            assert_eq!(now.as_ref(), Some(identity), "a decoy was ended");
        }
    }

    pub(super) fn figures(&self) -> String {
        let kinds = self.kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Killer<'_> {
    fn drop(&mut self) {
        for (decoy, _) in &mut self.decoys {
            // The decoy may have been ended; the test has reported that by now.
            let _ = decoy.kill();
            let _ = decoy.wait();
        }
    }
}

/// Kills all victims as nearly at the same moment as threads can, and returns how many it has hit.
fn at_once(victims: &[Identity]) -> u32 {
    let barrier = Barrier::new(victims.len());
    thread::scope(|scope| {
        let kill = |victim: &Identity| {
            barrier.wait();
            let killed = process::kill_verified(victim, Kill::Force).expect("it can be killed");
            u32::from(killed == Killed::Signalled)
        };
        let threads: Vec<_> = victims.iter().map(|victim| scope.spawn(move || kill(victim))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a kill")).sum()
    })
}
