//! Stop ends everything; start starts clean.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use exai_os::port;
use exai_os::process::Identity;
use exai_proto::documents::RunState;
use exai_proto::exit;
use serde_json::json;

use super::bench::{self, Bench};
use super::identity::{left, pids};
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;
use crate::limits::SELFTEST_CONNECT_TIMEOUT;

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = below_a_shell(bench, "demo", &["--children", "2"])?;
    let instance = Instance::new(bench, "restart", &servers)?;
    let (before, old) = begin(&instance)?;
    let port = address(&instance)?;
    let start = Instant::now();
    let said = instance.ends(exit::DONE, &["stop"])?;
    let stopped = start.elapsed();
    let still = left(&before)?;
    if !still.is_empty() {
        return Err(format!("`exai stop` has returned, and there still is {}", pids(&still)));
    }
    is_free(port)?;
    let record = instance.home().daemon_record();
    if record.exists() {
        return Err(format!("`exai stop` left {}", record.display()));
    }
    if !instance.trees().is_empty() {
        return Err(format!("`exai stop` left records in {}", instance.home().servers_dir().display()));
    }
    let (after, new) = begin(&instance)?;
    if old == new || after.iter().any(|identity| before.contains(identity)) {
        return Err("after the start some of the old processes serve".to_owned());
    }
    let status = instance.status()?;
    if status.state != RunState::Running || !status.processes.unexpected.is_empty() {
        return Err(format!("after the start `exai status` says: {}", status.verdict));
    }
    instance.finish()?;
    Ok(format!(
        "`exai stop` took {}: {} processes are gone, each proven by its identity; {port} is free, daemon.json is removed\n\
         it said: {}\n\
         `exai start` made {} new processes (server pid {old} before, {new} now): {}",
        bench::seconds(stopped),
        before.len(),
        said.lines().next().unwrap_or_default(),
        after.len(),
        status.verdict
    ))
}

/// Starts, lets the server start, and returns every process of it, and the server's id by its own word.
fn begin(instance: &Instance<'_>) -> Result<(Vec<Identity>, u32), String> {
    instance.start()?;
    let mut client = instance.client("selftest")?;
    let said = client.call("demo__pid", &json!({}))?;
    client.finish()?;
    let server =
        said.parse().map_err(|_| format!("the server said `{said}` when it was asked for its pid"))?;
    let tree = instance.tree_of(server)?;
    let members = tree.processes.into_iter().map(|member| member.identity);
    Ok(([instance.daemon()?].into_iter().chain(members).collect(), server))
}

fn address(instance: &Instance<'_>) -> Result<SocketAddr, String> {
    let record = instance.record()?;
    let mut tcp = record.listeners.iter().filter(|listener| listener.kind == "tcp");
    tcp.find_map(|listener| listener.addr.parse().ok())
        .ok_or_else(|| "the daemon listens on no TCP port".to_owned())
}

fn is_free(port: SocketAddr) -> Result<(), String> {
    // Where the system does not tell, a connection is tried.
    if let Ok(Some(owner)) = port::owner(port) {
        return Err(format!("pid {owner} still listens on {port}"));
    }
    match TcpStream::connect_timeout(&port, SELFTEST_CONNECT_TIMEOUT) {
        Ok(_) => Err(format!("somebody still listens on {port}")),
        Err(_) => Ok(()),
    }
}
