//! The memory that is used, and the number of processes.

use std::process::Command;
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::processes::{pss, with_descendants};
use super::requests::{ECHO, Requests};
use super::watchdog::Watchdog;
use crate::process;

const CLIENTS: u32 = 20;
const SERVERS: u32 = 5;
/// The time after which a process has given back the memory that only its start needs.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// Measures what the system can show. Figures that it cannot show stay empty.
pub(crate) fn measure(programs: &Programs, watchdog: &Watchdog, results: &mut Results) -> Result<(), String> {
    if pss(std::process::id()).is_none() {
        return Ok(());
    }
    idle(programs, results).map_err(|why| format!("memory of the idle daemon: {why}"))?;
    direct(programs, watchdog, results).map_err(|why| format!("memory of direct servers: {why}"))?;
    shared(programs, watchdog, results).map_err(|why| format!("memory with shims: {why}"))
}

fn idle(programs: &Programs, results: &mut Results) -> Result<(), String> {
    let instance = Instance::new(programs, SERVERS)?;
    process::output(&mut instance.exai(&["start"]))?;
    let daemon = daemon(&instance)?;
    thread::sleep(SETTLE);
    results.add(Series::IdleDaemon, Side::Exai, vec![pss(daemon).ok_or("the daemon has ended")?]);
    Ok(())
}

/// Measures clients that each have servers of their own.
fn direct(programs: &Programs, watchdog: &Watchdog, results: &mut Results) -> Result<(), String> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS * SERVERS {
        let mut client = Client::introduced(Command::new(&programs.echo), watchdog)?;
        use_tools(&mut client, [ECHO.to_owned()])?;
        clients.push(client);
    }
    thread::sleep(SETTLE);
    add_all(results, Side::Direct, clients.iter().map(Client::pid))
}

/// Measures clients that each have one shim for all servers.
fn shared(programs: &Programs, watchdog: &Watchdog, results: &mut Results) -> Result<(), String> {
    let instance = Instance::new(programs, SERVERS)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::introduced(instance.exai(&["shim"]), watchdog)?;
        use_tools(&mut client, (1..=SERVERS).map(|number| format!("echo{number}__{ECHO}")))?;
        clients.push(client);
    }
    let daemon = daemon(&instance)?;
    thread::sleep(SETTLE);
    let shims = clients.iter().map(|client| pss(client.pid())).collect::<Option<Vec<f64>>>();
    results.add(Series::Shim, Side::Exai, shims.ok_or("a shim has ended")?);
    add_all(results, Side::Exai, clients.iter().map(Client::pid).chain([daemon]))
}

/// Does what a client does first: lists the tools, and calls one tool of each server.
fn use_tools(client: &mut Client, tools: impl IntoIterator<Item = String>) -> Result<(), String> {
    client.list_tools()?;
    for tool in tools {
        client.try_call(&mut Requests::new(&tool, "hello", 1), "hello")?;
    }
    Ok(())
}

/// The daemon's pid.
pub(super) fn daemon(instance: &Instance<'_>) -> Result<u32, String> {
    let status = instance.status()?;
    let pid = status["daemon"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.ok_or_else(|| "`exai status --json` names no daemon".to_owned())
}

/// Adds the figures of these processes and of all their descendants.
fn add_all(results: &mut Results, side: Side, roots: impl Iterator<Item = u32>) -> Result<(), String> {
    let all = with_descendants(roots);
    let memory = all.iter().map(|pid| pss(*pid)).collect::<Option<Vec<f64>>>();
    results.add(Series::AllMemory, side, vec![memory.ok_or("a process has ended")?.iter().sum()]);
    results.add(Series::AllProcesses, side, vec![f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX))]);
    Ok(())
}
