//! The time until a client has the tools of real servers: four servers that `npx` starts from .peers/.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::Client;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::requests::{INITIALIZE, INITIALIZED, LIST};
use super::watchdog::Watchdog;
use crate::{process, project};

/// For each server: its name, the program of its package, and an argument.
const SERVERS: [(&str, &str, Option<&str>); 4] = [
    ("everything", "mcp-server-everything", None),
    ("memory", "mcp-server-memory", None),
    ("here", "mcp-server-filesystem", Some(".")),
    ("there", "mcp-server-filesystem", Some("node_modules")),
];
/// A text that every tool has, and no other part of an answer.
const OF_A_TOOL: &[u8] = b"\"inputSchema\":";
/// How long the first start of the servers may take.
const FIRST: Duration = Duration::from_mins(1);

/// Measures nothing where the servers are not installed.
pub(crate) fn measure(
    programs: &Programs,
    rounds: usize,
    watchdog: &Watchdog,
    results: &mut Results,
) -> Result<(), String> {
    let peers = project::root().join(".peers");
    if !peers.join("node_modules").join(".bin").join(SERVERS[0].1).exists() {
        return Ok(());
    }
    let instance = Instance::of(programs, &configuration(&peers))?;
    process::output(&mut instance.exai(&["start"]))?;
    let all = known(&instance, watchdog)?;
    for _ in 0..rounds {
        let start = Instant::now();
        let direct = direct(&peers, watchdog)?;
        results.add(Series::NpxServers, Side::Direct, vec![start.elapsed().as_secs_f64() * 1e3]);
        let start = Instant::now();
        let exai = tools(instance.exai(&["shim"]), watchdog)?;
        results.add(Series::NpxServers, Side::Exai, vec![start.elapsed().as_secs_f64() * 1e3]);
        // The tools of exai itself come on top of those of the servers.
        if exai != all || exai <= direct {
            return Err(format!("four npx servers have {direct} tools, and through exai {exai} after {all}"));
        }
    }
    Ok(())
}

/// Waits until the daemon knows all servers, and returns the number of all tools.
fn known(instance: &Instance<'_>, watchdog: &Watchdog) -> Result<usize, String> {
    let start = Instant::now();
    while start.elapsed() < FIRST {
        let number = tools(instance.exai(&["shim"]), watchdog)?;
        let status = instance.status()?;
        let servers = status["servers"].as_array().into_iter().flatten();
        if servers.filter(|server| server["state"] == "ready").count() > SERVERS.len() {
            // The last server may have become ready after the list was made.
            return Ok(number.max(tools(instance.exai(&["shim"]), watchdog)?));
        }
        thread::sleep(Duration::from_millis(500));
    }
    Err("four npx servers are not ready after a minute".to_owned())
}

/// Starts all servers at once, as clients do, and returns the number of their tools.
fn direct(peers: &Path, watchdog: &Watchdog) -> Result<usize, String> {
    let numbers: Vec<Result<usize, String>> = thread::scope(|scope| {
        let one = |server| scope.spawn(move || tools(command(server, peers), watchdog));
        let threads: Vec<_> = SERVERS.into_iter().map(one).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    numbers.into_iter().sum()
}

/// The number of tools that a client sees behind this command.
fn tools(command: Command, watchdog: &Watchdog) -> Result<usize, String> {
    let mut client = Client::start(command, watchdog)?;
    client.send(INITIALIZE)?;
    client.receive_with(br#""jsonrpc":"2.0","id":1"#)?;
    client.send(INITIALIZED)?;
    client.send(LIST)?;
    let answer = client.receive_with(br#""jsonrpc":"2.0","id":2"#)?;
    let number = answer.windows(OF_A_TOOL.len()).filter(|part| *part == OF_A_TOOL).count();
    // The end of the process is not waited for, since it is not part of the measurement.
    Ok(number)
}

fn arguments((_, program, argument): (&str, &'static str, Option<&'static str>)) -> Vec<&'static str> {
    // `--no` keeps npx from looking for the package elsewhere, since it is installed.
    [Some("--no"), Some(program), argument].into_iter().flatten().collect()
}

fn command(server: (&str, &'static str, Option<&'static str>), peers: &Path) -> Command {
    let mut command = Command::new("npx");
    command.args(arguments(server)).current_dir(peers).stderr(Stdio::null());
    command
}

fn configuration(peers: &PathBuf) -> String {
    let one = |server: (&str, &'static str, Option<&'static str>)| {
        let (name, arguments) = (server.0, arguments(server));
        format!("[servers.{name}]\ncommand = \"npx\"\nargs = {}\ncwd = {}\n", json!(arguments), json!(peers))
    };
    SERVERS.map(one).concat()
}
