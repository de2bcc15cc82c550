//! Properties that hold for every tree.

use proptest::prelude::*;

use super::*;

const COMMANDS: [&str; 10] = [
    "prog",
    "node x.js",
    "npm exec x",
    "sh -c x",
    "bash x.sh",
    "docker run x",
    "tee log",
    r"C:\Windows\conhost.exe x",
    "python -m x",
    "sudo x",
];
const ENDS: [&str; 5] = ["io", "i", "o", "", "?"];
const AMOUNTS: [u64; 6] = [0, ANSWERED, SENT / 2, SENT, SENT + ANSWERED, SENT * 3];

prop_compose! {
    fn a_member()(
        parent in 0..100_u32,
        command in prop::sample::select(&COMMANDS),
        ends in prop::sample::select(&ENDS),
        read in prop::sample::select(&AMOUNTS),
        written in prop::sample::select(&AMOUNTS),
    ) -> (u32, &'static str, &'static str, u64, u64) {
        (parent, command, ends, read, written)
    }
}

proptest! {
    #[test]
    fn one_server_and_its_launchers_above_it(
        drawn in prop::collection::vec(a_member(), 0..8),
        has_guard in any::<bool>(),
        asked in any::<bool>(),
        initialized in prop::option::of(0..12_u64),
        owners in prop::option::of(prop::collection::vec(2..12_u32, 0..3)),
    ) {
        let mut members = if has_guard { vec![guard()] } else { Vec::new() };
        let mut moved = Vec::new();
        for (pid, (parent, command, ends, read, written)) in (3..).zip(drawn) {
            // The parent is any earlier process, the guard included.
            members.push(member(pid, 2 + parent % (pid - 2), command, ends));
            moved.push((pid, read, written));
        }
        let exchange = exchange(&members, &moved);
        let addr = "127.0.0.1:1".parse().unwrap();
        let listening = owners.map(|members| Listening { addr, members, stranger: None });
        let seen = Observation {
            exchange: asked.then_some(&exchange),
            initialized,
            listening: listening.as_ref(),
            ..seen(&members)
        };
        let found = judge(&seen);
        let pids = |members: &[Facts]| members.iter().map(|facts| facts.process.pid).collect::<Vec<u32>>();
        prop_assert_eq!(found.processes.iter().map(|process| process.pid).collect::<Vec<u32>>(), pids(&members));
        let servers: Vec<u32> = found.processes.iter()
            .filter(|process| matches!(process.role, Role::Server { .. }))
            .map(|process| process.pid)
            .collect();
        prop_assert!(servers.len() <= 1);
        prop_assert_eq!(servers.first().copied(), found.server);
        for process in &found.processes {
            prop_assert!(!process.evidence.is_empty(), "{:?}", process);
            prop_assert_eq!(process.role == Role::Guard, has_guard && process.pid == 2);
            let is_above = found.server.is_some_and(|server| above(&members, server).contains(&process.pid));
            match process.role {
                Role::Launcher { kind } => {
                    prop_assert!(is_above || kind == Some("relay") || found.server.is_none());
                }
                Role::Helper | Role::Server { .. } => prop_assert!(!is_above, "{:?}", found),
                Role::Guard => {}
            }
        }
        if found.is_confirmed() {
            prop_assert!(asked || listening.is_some());
        }
    }
}

fn above(members: &[Facts], pid: u32) -> Vec<u32> {
    let parent =
        |pid: u32| members.iter().find(|facts| facts.process.pid == pid).map(|facts| facts.process.ppid);
    std::iter::successors(parent(pid), |above| parent(*above)).filter(|pid| *pid > 2).collect()
}
