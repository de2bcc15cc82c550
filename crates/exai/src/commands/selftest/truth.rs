//! What is reported about a dead daemon, and what a record may cause.

use std::time::Instant;

use exai_os::private;
use exai_os::process::Identity;
use exai_proto::documents::{DaemonRecord, RunState, Status};
use exai_proto::exit;
use exai_supervisor::record::{Recorded, TreeRecord, TreeRole};
use serde_json::json;

use super::bench::{self, Bench};
use super::decoy::Decoy;
use super::identity::{kill, left, lives, pids};
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;
use crate::limits::SELFTEST_TREES_TIMEOUT;

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = below_a_shell(bench, "demo", &[])?;
    let instance = Instance::new(bench, "truth", &servers)?;
    instance.start()?;
    let mut client = instance.client("selftest")?;
    let server = client.call("demo__pid", &json!({}))?;
    client.finish()?;
    let server = server.parse().map_err(|_| format!("`{server}` is no pid"))?;
    let tree = instance.tree_of(server)?;
    let members: Vec<Identity> = tree.processes.iter().map(|member| member.identity.clone()).collect();
    let record = instance.record()?;

    kill(&instance.daemon()?)?;
    let killed = Instant::now();
    let status: Status = stale(&instance)?;
    let gone = bench.wait("the tree of a killed daemon ends", SELFTEST_TREES_TIMEOUT, || {
        Ok(left(&members)?.is_empty().then(|| killed.elapsed()))
    });
    let gone = gone.map_err(|why| format!("{why}: {}", pids(&left(&members).unwrap_or_default())))?;

    let decoy = Decoy::start(bench, None)?;
    claim(&instance, &record, &tree, &decoy.identity)?;
    stale(&instance)?;
    for (code, args) in [
        (exit::DONE, &["stop"][..]),
        (exit::DONE, &["start"]),
        (exit::DONE, &["restart"]),
        (exit::DONE, &["stop"]),
    ] {
        instance.ends(code, args)?;
        instance.remember();
        if !lives(&decoy.identity)? {
            return Err(format!("`exai {}` ended a process that only has a recorded pid", args.join(" ")));
        }
    }
    let pid = decoy.identity.pid;
    drop(decoy);
    instance.finish()?;
    Ok(format!(
        "the daemon killed: `exai status` says \"{}\"; its server's {} processes were gone within {}\n\
         records that claim the pid of another program ({pid}), as after a reuse of the number: called stale; stop, \
         start and restart did not touch it",
        status.verdict,
        members.len(),
        bench::seconds(gone)
    ))
}

/// The report must be that the record is stale.
fn stale(instance: &Instance<'_>) -> Result<Status, String> {
    let status: Status = instance.document(exit::NOT_RUNNING, &["status", "--json"])?;
    if status.state != RunState::Stale || status.daemon.is_some() {
        return Err(format!("`exai status` says of a dead daemon: {:?}, {}", status.state, status.verdict));
    }
    Ok(status)
}

/// Writes records of a dead daemon and its tree whose pids belong to other processes now.
fn claim(
    instance: &Instance<'_>,
    record: &DaemonRecord,
    tree: &TreeRecord,
    other: &Identity,
) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot write a record: {error}");
    let daemon = DaemonRecord {
        pid: other.pid,
        identity: exai_proto::documents::Identity { pid: other.pid, ..record.identity.clone() },
        ..record.clone()
    };
    let text = serde_json::to_vec(&daemon).map_err(|error| error.to_string())?;
    private::write_atomic(&instance.home().daemon_record(), &text).map_err(cannot)?;
    let places = [TreeRole::Guard, TreeRole::Root, TreeRole::Member];
    let recorded = |(place, member): (TreeRole, &Recorded)| Recorded {
        pid: other.pid,
        identity: Identity { pid: other.pid, ..member.identity.clone() },
        place,
        name: member.name.clone(),
    };
    let processes = places.into_iter().zip(&tree.processes).map(recorded).collect();
    let tree = TreeRecord { processes, ..tree.clone() };
    tree.write(&instance.home().servers_dir()).map_err(cannot)
}
