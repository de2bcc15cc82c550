//! The cost of observing processes, and the speed of starts and ends.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::memory::daemon;
use super::processes::{pss, with_descendants};
use super::requests::{ECHO, INITIALIZE, Requests};
use super::watchdog::Watchdog;
use crate::process;

const SERVERS: u32 = 20;
const SHIMS: usize = 100;
/// How often the commands are timed.
const COMMANDS: usize = 10;
/// How long the daemon is observed without any request.
const IDLE: Duration = Duration::from_secs(10);
/// How often the daemon is killed.
const KILLS: usize = 3;

/// Measures what the system can show. Figures that it cannot show stay empty.
pub(crate) fn measure(programs: &Programs, watchdog: &Watchdog, results: &mut Results) -> Result<(), String> {
    if pss(std::process::id()).is_none() {
        return Ok(());
    }
    results.add(Series::HundredShims, Side::Exai, vec![hundred(programs, watchdog)?]);
    for round in 0..KILLS {
        let instance = Instance::behind_shells(programs, SERVERS)?;
        let mut client = Client::introduced(instance.exai(&["shim"]), watchdog)?;
        for number in 1..=SERVERS {
            let tool = format!("echo{number}__{ECHO}");
            client.try_call(&mut Requests::new(&tool, "hello", 1), "hello")?;
        }
        if round == 0 {
            commands(&instance, results)?;
            guards(&instance, results)?;
            idle(&instance, results)?;
        }
        let daemon = daemon(&instance)?;
        client.finish()?;
        results.add(Series::Gone, Side::Exai, vec![gone(daemon)?]);
    }
    Ok(())
}

/// The time from the start of the first shim until all shims are answered.
fn hundred(programs: &Programs, watchdog: &Watchdog) -> Result<f64, String> {
    let instance = Instance::new(programs, 1)?;
    let start = Instant::now();
    let mut clients = Vec::with_capacity(SHIMS);
    for _ in 0..SHIMS {
        let mut client = Client::start(instance.shim(), watchdog)?;
        client.send(INITIALIZE)?;
        clients.push(client);
    }
    for client in &mut clients {
        client.expect_welcome()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn commands(instance: &Instance<'_>, results: &mut Results) -> Result<(), String> {
    for (series, command) in [(Series::Status, "status"), (Series::Ps, "ps")] {
        let mut times = Vec::new();
        for _ in 0..COMMANDS {
            let start = Instant::now();
            process::output(&mut instance.exai(&[command, "--json"]))?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        results.add(series, Side::Exai, times);
    }
    Ok(())
}

fn guards(instance: &Instance<'_>, results: &mut Results) -> Result<(), String> {
    let status = instance.status()?;
    let servers = status["servers"].as_array().into_iter().flatten();
    let pids = servers.filter_map(|server| server["instances"][0]["guard_pid"].as_u64());
    let memory: Option<Vec<f64>> = pids.map(|pid| pss(u32::try_from(pid).ok()?)).collect();
    results.add(Series::Guard, Side::Exai, memory.ok_or("a guard has ended")?);
    Ok(())
}

fn idle(instance: &Instance<'_>, results: &mut Results) -> Result<(), String> {
    let daemon = daemon(instance)?;
    let before = ticks(daemon)?;
    thread::sleep(IDLE);
    let used = ticks(daemon)?.saturating_sub(before);
    // Linux shows a hundred ticks per second on every platform.
    let seconds = f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / 100.0;
    results.add(Series::Watcher, Side::Exai, vec![100.0 * seconds / IDLE.as_secs_f64()]);
    Ok(())
}

/// The processor time of a process in ticks: fields 14 and 15 of proc_pid_stat(5).
fn ticks(pid: u32) -> Result<u64, String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let number = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<u64>().ok());
    number(14).zip(number(15)).map(|(user, system)| user + system).ok_or_else(|| "an unknown form".to_owned())
}

/// Kills the daemon, and returns how long it took until all processes below it were gone.
fn gone(daemon: u32) -> Result<f64, String> {
    let mut left: HashSet<u32> = with_descendants([daemon]);
    let start = Instant::now();
    process::output(Command::new("kill").args(["-9", &daemon.to_string()]))?;
    while !left.is_empty() && start.elapsed() < Duration::from_secs(10) {
        left.retain(|pid| is_alive(*pid));
    }
    match left.len() {
        0 => Ok(start.elapsed().as_secs_f64() * 1e3),
        number => Err(format!("{number} processes outlive the daemon by 10 s")),
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
