//! Trees from tables: their members, the result of an exchange, and the judged role of each process.

mod exchanges;
mod known_launchers;
mod places;
mod properties;

use exai_os::process::ProcessInfo;
use exai_os::process_facts::IoCounters;

use super::*;

const SENT: u64 = 40;
const ANSWERED: u64 = 36;

/// A member whose start time equals its pid. `ends` holds `i` if the member has exai's stdin pipe and `o` if it has
/// exai's stdout pipe; `?` stands for a system that does not show this.
fn member(pid: u32, parent: u32, command: &str, ends: &str) -> Facts {
    let args: Vec<String> = if command.starts_with("npm ") {
        vec![command.to_owned()] // npm sets its title
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

/// A member on Windows, where no pipes show. Without `command` its arguments are unknown.
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

/// An exchange in which the counters of these pids moved by these numbers of bytes.
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

/// The movement of a server's counters during an exchange.
fn answers(pid: u32) -> (u32, u64, u64) {
    (pid, SENT + 8, ANSWERED)
}

/// An observation in which the guard, if there is one, is 2, and the root is 3.
fn seen(members: &[Facts]) -> Observation<'_> {
    let guard = members.iter().any(|facts| facts.process.pid == 2).then_some(2);
    Observation { members, guard, root: 3, exchange: None, initialized: None, listening: None }
}

fn guard() -> Facts {
    member(2, 1, "/usr/bin/exai guard", "")
}

/// The roles without the guard, such as `3 launcher npx, 4 launcher shell, 5 server!`. `!` means confirmed, `?`
/// presumed.
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
