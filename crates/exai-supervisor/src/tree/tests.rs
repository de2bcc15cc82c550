//! Trees in tables: who is in them, what an exchange showed, and what each process is judged to be.

mod exchanges;
mod known_launchers;
mod places;
mod properties;

use exai_os::process::ProcessInfo;
use exai_os::process_facts::IoCounters;

use super::*;

const SENT: u64 = 40;
const ANSWERED: u64 = 36;

/// A member that started when its pid says. `ends` holds `i` for our stdin pipe, `o` for our stdout pipe; `?`
/// is a system that does not tell.
fn member(pid: u32, parent: u32, command: &str, ends: &str) -> Facts {
    let args: Vec<String> = if command.starts_with("npm ") {
        vec![command.to_owned()] // its title
    } else {
        command.split(' ').map(str::to_owned).collect()
    };
    let program = args[0].rsplit(['/', '\\']).next().unwrap_or_default();
    let process = ProcessInfo {
        pid,
        ppid: parent,
        pgid: 0,
        name: program.chars().take(15).collect(),
        start: u64::from(pid),
        rss_bytes: 0,
        zombie: false,
    };
    let held = |end: char| (ends != "?").then(|| ends.contains(end));
    let exe = args[0].contains(['/', '\\']).then(|| args[0].clone());
    Facts { process, args, exe, in_venv: false, stdin: held('i'), stdout: held('o') }
}

/// A member of Windows: no pipes, and the arguments if `command` has any.
fn windows(pid: u32, parent: u32, exe: &str, command: &str) -> Facts {
    let name = exe.rsplit('\\').next().unwrap_or_default().to_owned();
    let mut facts = member(pid, parent, &format!("{exe} {command}"), "?");
    facts.process.name = name;
    facts.in_venv = exe.contains("Scripts");
    facts.exe = Some(exe.to_owned());
    if command.is_empty() {
        facts.args.clear();
    }
    facts
}

/// By how much the counters of these pids moved.
fn exchange(members: &[Facts], moved: &[(u32, u64, u64)]) -> Exchange {
    let counts = members.iter().map(|facts| {
        let process = &facts.process;
        let moved = moved.iter().find(|(pid, ..)| *pid == process.pid);
        let io = moved.map_or(IoCounters::default(), |(_, read, written)| IoCounters {
            read: *read,
            written: *written,
        });
        Count { pid: process.pid, start: process.start, io }
    });
    Exchange { sent: SENT, answered: ANSWERED, moved: counts.collect(), lost: false }
}

/// What a server's counters do.
fn answers(pid: u32) -> (u32, u64, u64) {
    (pid, SENT + 8, ANSWERED)
}

/// The guard is 2 if there is one; the root is 3.
fn seen(members: &[Facts]) -> Observation<'_> {
    let guard = members.iter().any(|facts| facts.process.pid == 2).then_some(2);
    Observation { members, guard, root: 3, exchange: None, initialized: None, listening: None }
}

fn guard() -> Facts {
    member(2, 1, "/usr/bin/exai guard", "")
}

/// `3 launcher npx, 4 launcher shell, 5 server!`: without the guard; `!` is confirmed, `?` presumed.
fn roles(judgement: &Judgement) -> String {
    let all = judgement.processes.iter().filter_map(|process| {
        let role = match process.role {
            Role::Guard => return None,
            Role::Launcher { kind: Some(kind) } => format!("launcher {kind}"),
            Role::Launcher { kind: None } => "launcher".to_owned(),
            Role::Server { confirmed: true } => "server!".to_owned(),
            Role::Server { confirmed: false } => "server?".to_owned(),
            Role::Helper => "helper".to_owned(),
        };
        Some(format!("{} {role}", process.pid))
    });
    all.collect::<Vec<String>>().join(", ")
}

fn explanation(judgement: &Judgement) -> &str {
    judgement.explanation.as_deref().unwrap_or_default()
}

fn evidence(judgement: &Judgement, pid: u32) -> Vec<&str> {
    let process = judgement.processes.iter().find(|process| process.pid == pid).unwrap();
    process.evidence.iter().map(String::as_str).collect()
}

fn npx() -> Vec<Facts> {
    vec![
        guard(),
        member(3, 2, "npm exec @modelcontextprotocol/server-everything", "io"),
        member(4, 3, "sh -c mcp-server-everything", "io"),
        member(5, 4, "node /home/x/.npm/_npx/1/node_modules/.bin/mcp-server-everything", "io"),
    ]
}
