//! One daemon, however it is started.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Instant;

use exai_os::port;
use exai_proto::documents::DaemonRecord;
use exai_proto::exit;
use serde_json::json;

use super::bench::{self, Bench};
use super::client::Client;
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;
use crate::limits::{SELFTEST_COMMAND_TIMEOUT, SELFTEST_LOSERS_TIMEOUT};

/// How many of each are started at once.
const STARTS: usize = 7;
const SERVES: usize = 6;
const SHIMS: usize = 7;

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = below_a_shell(bench, "demo", &[])?;
    let instance = Instance::new(bench, "single", &servers)?;
    let begin = Instant::now();
    instance.start()?;
    let started = bench::seconds(begin.elapsed());
    let first = instance.daemon()?;
    let again = instance.exai(&["start"])?;
    if again.code != Some(exit::DONE.into()) || !again.out.contains("already running") {
        return Err(format!("the second `exai start` said: {}{}", again.out, again.err));
    }
    if instance.daemon()? != first {
        return Err("the second `exai start` made another daemon".to_owned());
    }
    instance.ends(exit::DONE, &["stop"])?;

    let begin = Instant::now();
    let crowd = Crowd::start(&instance)?;
    let Settled { lost, shims, serves } = crowd.settle(bench)?;
    let took = bench::seconds(begin.elapsed());
    instance.remember();
    let record = instance.record()?;
    let daemon = instance.daemon()?;
    let status = instance.status()?;
    if status.clients.len() != SHIMS {
        return Err(format!("{SHIMS} shims are connected, and the daemon knows {}", status.clients.len()));
    }
    let alone = bench.wait("only one process serves", SELFTEST_LOSERS_TIMEOUT, || {
        Ok(match instance.daemons() {
            None => Some("the system does not tell which processes serve"),
            Some(pids) => (pids == [daemon.pid]).then_some("by the system's word no other process serves"),
        })
    })?;
    let listens = only_it_listens(&record, daemon.pid)?;
    drop(shims);
    instance.finish()?;
    // One of them may have been the daemon.
    drop(serves);
    Ok(format!(
        "`exai start` took {started}; the second said \"already running\"\n\
         {STARTS} starts, {SERVES} serves and {SHIMS} shims at once with nothing running: 1 daemon (pid {}) after \
         {took}, {lost} serves were refused (75), {SHIMS} shims called a tool through it; {alone}\n\
         daemon.json names exactly that process (boot, pid and start time are equal); {listens}",
        daemon.pid
    ))
}

/// Children that may have become the daemon.
struct Crowd<'a> {
    starts: Vec<Running>,
    serves: Vec<Running>,
    shims: Vec<Client<'a>>,
}

/// Ended when it goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Crowd<'a> {
    fn start(instance: &Instance<'a>) -> Result<Self, String> {
        let mut crowd = Crowd { starts: Vec::new(), serves: Vec::new(), shims: Vec::new() };
        let running = |word: &str| {
            let mut command = instance.command(&[word]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().map(Running).map_err(|error| format!("cannot start `exai {word}`: {error}"))
        };
        for number in 0..STARTS.max(SERVES).max(SHIMS) {
            if number < SHIMS {
                crowd.shims.push(instance.shim(&format!("shim-{number}"))?);
            }
            if number < SERVES {
                crowd.serves.push(running("serve")?);
            }
            if number < STARTS {
                crowd.starts.push(running("start")?);
            }
        }
        Ok(crowd)
    }

    /// Waits until every process has a daemon, or was refused.
    fn settle(mut self, bench: &Bench) -> Result<Settled<'a>, String> {
        for start in &mut self.starts {
            let status =
                bench::ended(&mut start.0, Instant::now() + SELFTEST_COMMAND_TIMEOUT, &|| bench.go_on())
                    .map_err(|why| format!("one of {STARTS} `exai start`: {why}"))?;
            if !status.success() {
                return Err(format!("one of {STARTS} `exai start` at once ended with {status}"));
            }
        }
        for shim in &mut self.shims {
            shim.initialize()?;
            let label = shim.label().to_owned();
            if shim.call("demo__echo", &json!({"text": label}))? != label {
                return Err(format!("the call of {label} was answered with something else"));
            }
        }
        let mut lost = 0;
        // One of them may be the daemon, and goes on.
        bench.wait("all `exai serve` but one are refused", SELFTEST_COMMAND_TIMEOUT, || {
            lost = 0;
            for serve in &mut self.serves {
                match serve.0.try_wait().map_err(|error| format!("cannot wait for `exai serve`: {error}"))? {
                    None => {}
                    Some(status) if status.code() == Some(exit::LOCK_HELD.into()) => lost += 1,
                    Some(status) => return Err(format!("one of {SERVES} `exai serve` ended with {status}")),
                }
            }
            Ok((lost + 1 >= SERVES).then_some(()))
        })?;
        Ok(Settled { lost, shims: self.shims, serves: self.serves })
    }
}

/// The processes that are left after the race.
struct Settled<'a> {
    /// How many `exai serve` were refused.
    lost: usize,
    shims: Vec<Client<'a>>,
    serves: Vec<Running>,
}

/// Asks the system which process listens on the daemon's ports.
fn only_it_listens(record: &DaemonRecord, pid: u32) -> Result<String, String> {
    let ports = record.listeners.iter().filter(|listener| listener.kind == "tcp");
    let ports: Vec<SocketAddr> = ports.filter_map(|listener| listener.addr.parse().ok()).collect();
    if ports.is_empty() {
        return Err("the daemon listens on no TCP port".to_owned());
    }
    let words: Vec<String> = ports.iter().map(SocketAddr::to_string).collect();
    for addr in ports {
        match port::owner(addr) {
            Ok(Some(owner)) if owner == pid => {}
            Ok(Some(other)) => return Err(format!("pid {other} listens on {addr}, not the daemon ({pid})")),
            Ok(None) => return Err(format!("nobody listens on {addr}")),
            Err(error) => return Ok(format!("the system does not say who listens on {addr}: {error}")),
        }
    }
    Ok(format!("by the system's word it alone owns the LISTEN socket {}", words.join(" and ")))
}
