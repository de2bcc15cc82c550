//! What open shims see when the daemon or a server dies.

use std::collections::BTreeSet;
use std::time::Duration;

use exai_os::process::{self, Identity};
use exai_proto::exit;
use serde_json::json;

use super::bench::{self, Bench};
use super::client::{Client, Patience};
use super::identity::kill;
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;
use crate::commands::count;

const LABELS: [&str; 3] = ["augment", "claude-desktop", "auggie"];

/// What all clients have in common.
#[derive(PartialEq)]
struct Common {
    daemon: Identity,
    server: u32,
}

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = below_a_shell(bench, "demo", &[])?;
    let instance = Instance::new(bench, "connected", &servers)?;
    instance.start()?;
    let mut clients =
        LABELS.into_iter().map(|label| instance.client(label)).collect::<Result<Vec<_>, String>>()?;
    let shims: Vec<u32> = clients.iter().map(Client::pid).collect();
    let mut lines = Vec::new();
    let (first, _) = everybody(&instance, &mut clients)?;

    kill(&first.daemon)?;
    let (second, calls) = everybody(&instance, &mut clients)?;
    if second.daemon == first.daemon || second.server == first.server {
        return Err("after a kill of the daemon the same processes serve".to_owned());
    }
    lines.push(format!("the daemon killed (pid {}): {calls}", first.daemon.pid));

    kill(&identity(second.server)?)?;
    let (third, calls) = everybody(&instance, &mut clients)?;
    if third.daemon != second.daemon || third.server == second.server {
        return Err("a kill of the server must replace it, and nothing else".to_owned());
    }
    lines.push(format!("the server killed (pid {}): {calls}", second.server));

    instance.ends(exit::DONE, &["restart"])?;
    let (fourth, calls) = everybody(&instance, &mut clients)?;
    if fourth.daemon == third.daemon {
        return Err("`exai restart` left the same daemon".to_owned());
    }
    lines.push(format!("`exai restart`: {calls}"));

    if clients.iter().map(Client::pid).collect::<Vec<_>>() != shims
        || !clients.iter_mut().all(Client::is_open)
    {
        return Err("a shim has ended".to_owned());
    }
    lines.push(format!("the same {} stayed open all the time", count(shims.len(), "shim")));
    clients.into_iter().try_for_each(Client::finish)?;
    instance.finish()?;
    Ok(lines.join("\n"))
}

/// Each client calls; returns what they have in common now, and what is to be said about the calls.
fn everybody(instance: &Instance<'_>, clients: &mut [Client<'_>]) -> Result<(Common, String), String> {
    let mut servers = BTreeSet::new();
    let mut calls = Vec::new();
    for client in clients.iter_mut() {
        let call = client.call_patiently("demo__pid", &json!({}))?;
        servers.insert(call.text.clone());
        calls.push(call);
    }
    let [server] = &*servers.iter().collect::<Vec<_>>() else {
        return Err(format!("the clients use different servers: pids {servers:?}"));
    };
    let server =
        server.parse().map_err(|_| format!("the server said `{server}` when it was asked for its pid"))?;
    let common = Common { daemon: instance.daemon()?, server };
    instance.remember();
    Ok((common, words(&calls)))
}

fn words(calls: &[Patience]) -> String {
    let first = calls.first().map_or(Duration::ZERO, |call| call.took);
    let repeated = calls.iter().filter(|call| call.repeated > 0).count();
    let honest = match repeated {
        0 => String::new(),
        number => format!(" ({} first got an honest error that allows to repeat it)", count(number, "call")),
    };
    format!("the next call of each client was answered, the first after {}{honest}", bench::seconds(first))
}

fn identity(pid: u32) -> Result<Identity, String> {
    let found = process::identify(pid).map_err(|error| format!("cannot identify pid {pid}: {error}"))?;
    found.ok_or_else(|| format!("pid {pid} called itself the server and does not live"))
}
