//! Several clients at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

use exai_os::process::{self, Identity, ProcessInfo};
use serde_json::{Value, json};

use super::bench::{self, Bench};
use super::client::Client;
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;

const LABELS: [&str; 3] = ["augment", "claude-desktop", "auggie"];
/// How many calls each client has under way at once.
const CALLS: usize = 100;

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = below_a_shell(bench, "demo", &[])?;
    let instance = Instance::new(bench, "many", &servers)?;
    // The first shim starts the daemon.
    let mut clients =
        LABELS.into_iter().map(|label| instance.client(label)).collect::<Result<Vec<_>, String>>()?;
    for client in &mut clients {
        let tools = client.tools()?;
        if !tools.iter().any(|tool| tool == "demo__echo") {
            return Err(format!("{} is offered {tools:?} and not demo__echo", client.label()));
        }
    }
    let begin = Instant::now();
    let outcomes: Vec<Result<(), String>> = thread::scope(|scope| {
        let threads: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| call(client))).collect();
        let lost = |_| Err("BUG: a client's thread panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    });
    outcomes.into_iter().collect::<Result<(), String>>()?;
    let took = begin.elapsed();
    let servers: BTreeSet<String> = clients
        .iter_mut()
        .map(|client| client.call("demo__pid", &json!({})))
        .collect::<Result<_, String>>()?;
    let [server] = &*servers.iter().collect::<Vec<_>>() else {
        return Err(format!("the clients use different servers: pids {servers:?}"));
    };
    let daemon = instance.daemon()?;
    instance.remember();
    let known = shims(&instance, &daemon, &clients)?;
    clients.into_iter().try_for_each(Client::finish)?;
    instance.finish()?;
    Ok(format!(
        "{known}\nall use the same daemon (pid {}) and the same server (pid {server}); {} calls at once, each \
         answered with its own text, in {}",
        daemon.pid,
        LABELS.len() * CALLS,
        bench::seconds(took)
    ))
}

/// Makes many calls at once; each answer must belong to its own call.
fn call(client: &mut Client<'_>) -> Result<(), String> {
    let mut waiting: BTreeMap<u64, String> = BTreeMap::new();
    for number in 0..CALLS {
        let text = format!("{} {number}", client.label());
        let call = json!({"name": "demo__echo", "arguments": {"text": text}});
        waiting.insert(client.request("tools/call", &call)?, text);
    }
    while !waiting.is_empty() {
        let answer = client.answer()?;
        let text = answer["id"].as_u64().and_then(|id| waiting.remove(&id));
        let Some(text) = text else {
            return Err(format!("{} got an answer that it waits for no more: {answer}", client.label()));
        };
        let said = answer
            .get("result")
            .map_or_else(|| answer["error"].to_string(), |result: &Value| client.text(result));
        if said != text {
            return Err(format!("{} called echo with `{text}` and was answered `{said}`", client.label()));
        }
    }
    Ok(())
}

/// Each client is known by its label, and its shim is one process.
fn shims(instance: &Instance<'_>, daemon: &Identity, clients: &[Client<'_>]) -> CaseOutcome {
    let status = instance.status()?;
    if status.clients.len() != clients.len() {
        return Err(format!(
            "{} clients are open, and the daemon knows {}",
            clients.len(),
            status.clients.len()
        ));
    }
    let table = process::snapshot().map_err(|error| format!("cannot list processes: {error}"))?;
    let below = process::descendants(&table, daemon.pid);
    let hosted: BTreeSet<u32> = below.iter().map(|one| one.pid).chain([daemon.pid]).collect();
    let mut words = Vec::new();
    for client in clients {
        let known = status.clients.iter().find(|one| one.label.as_deref() == Some(client.label()));
        let pid = known.and_then(|one| one.shim_pid);
        if pid != Some(client.pid()) {
            return Err(format!(
                "{} has the shim pid {}, and the daemon says {pid:?}",
                client.label(),
                client.pid()
            ));
        }
        // The daemon that a shim has started is below it as long as the shim lives.
        let is_its_own = |one: &&ProcessInfo| !one.zombie && !hosted.contains(&one.pid);
        let below = process::descendants(&table, client.pid()).iter().filter(is_its_own).count();
        if below > 0 {
            return Err(format!("the shim of {} has {below} processes below it", client.label()));
        }
        words.push(format!("{} (shim pid {})", client.label(), client.pid()));
    }
    Ok(format!("{} are connected, each by 1 shim process", words.join(", ")))
}
