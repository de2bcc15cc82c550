//! Processes accumulate: a daemon and its guards die at the same moment, and servers are left. Where there are no guards
//! the system ends a tree with its daemon, and nothing can be left.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use exai_os::process::Identity;
use exai_proto::documents::{Action, Cleanup, Found};
use exai_proto::exit;
use exai_supervisor::record::{TreeRecord, TreeRole};
use serde_json::json;

use super::bench::{self, Bench};
use super::decoy::Decoy;
use super::identity::{gone, left, lives, pids, send_kill};
use super::instance::{Instance, below_a_shell};
use super::outcome::CaseOutcome;
use crate::commands::count;
use crate::limits::SELFTEST_SETTLE_DELAY;

const SERVERS: [&str; 3] = ["one", "two", "three"];
/// How often this is tried: a guard may see the end of its daemon before its own end, and then has ended its tree, as
/// it should.
const ATTEMPTS: u32 = 10;

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let servers = SERVERS.map(|name| below_a_shell(bench, name, &["--stubborn"]));
    let servers = servers.into_iter().collect::<Result<String, String>>()?;
    let instance = Instance::new(bench, "cleanup", &servers)?;
    let Accumulated { trees, survivors, ended } = accumulate(&instance)?;
    let alike = Decoy::start(bench, None)?;
    let owner = trees.first().map(|tree| format!("{}.{}", tree.instance, tree.id)).unwrap_or_default();
    let marked = Decoy::start(bench, Some(&owner))?;

    let plan: Cleanup = instance.document(exit::FINDINGS, &["cleanup", "--json"])?;
    only(&plan, &survivors)?;
    let still = left(&survivors)?.len();
    if plan.applied || still != survivors.len() {
        return Err("`exai cleanup` without --apply has ended something".to_owned());
    }
    // Where the system shows environments, it must report that it leaves the marked process alone.
    let done = instance.exai(&["cleanup", "--apply", "--json"])?;
    let done: Cleanup = serde_json::from_str(&done.out)
        .map_err(|error| format!("`exai cleanup --apply --json`: {error}: {}{}", done.out, done.err))?;
    only(&done, &survivors)?;
    let still = left(&survivors)?;
    if !still.is_empty() {
        return Err(format!("`exai cleanup --apply` has returned, and there still is {}", pids(&still)));
    }
    for decoy in [&alike, &marked] {
        if !lives(&decoy.identity)? {
            return Err(format!("`exai cleanup --apply` ended a stranger, pid {}", decoy.identity.pid));
        }
    }
    let record = instance.home().daemon_record();
    if record.exists() {
        return Err(format!("`exai cleanup --apply` left {}", record.display()));
    }
    let left_alone = pids(&[alike.identity.clone(), marked.identity.clone()]);
    drop(marked);
    instance.ends(exit::DONE, &["cleanup", "--apply"])?;
    instance.ends(exit::DONE, &["cleanup"])?;
    drop(alike);
    instance.finish()?;
    let killed = match ended {
        Some((members, took)) => format!(
            "the daemon killed: the system ended all {} of its trees within {}; `exai cleanup` named no process, and \
             `--apply` removed daemon.json",
            count(members, "process"),
            bench::seconds(took)
        ),
        None => format!(
            "daemon and {} killed together: {} left behind; `exai cleanup` named exactly these and ended none, \
             `--apply` ended all of them ({} MiB freed) and removed daemon.json",
            count(trees.len(), "guard"),
            count(survivors.len(), "process"),
            done.freed_bytes >> 20,
        ),
    };
    Ok(format!(
        "{killed}\n\
         {left_alone} live: the same program with the same arguments, one with a copied mark in its environment",
    ))
}

/// What a dead daemon has left behind.
struct Accumulated {
    trees: Vec<TreeRecord>,
    /// The processes that are left.
    survivors: Vec<Identity>,
    /// Where the system ended the processes: how many, and how long that took.
    ended: Option<(usize, Duration)>,
}

/// Kills the daemon and its guards at once.
fn accumulate(instance: &Instance<'_>) -> Result<Accumulated, String> {
    for _ in 0..ATTEMPTS {
        let trees = start(instance)?;
        let members = || trees.iter().flat_map(|tree| &tree.processes);
        let of = |guard: bool| {
            let some = members().filter(move |member| (member.place == TreeRole::Guard) == guard);
            some.map(|member| member.identity.clone()).collect::<Vec<_>>()
        };
        let (guards, rest) = (of(true), of(false));
        let daemon = instance.daemon()?;
        // A guard sees the end of its socket only when the daemon is taken down, which is usually later than this.
        send_kill(&daemon)?;
        let killed = Instant::now();
        for guard in &guards {
            // A guard that was quicker has ended its tree.
            let _ = send_kill(guard);
        }
        for identity in guards.iter().chain([&daemon]) {
            gone(identity)?;
        }
        if guards.is_empty() {
            for identity in &rest {
                gone(identity)?;
            }
            let ended = Some((rest.len(), killed.elapsed()));
            return Ok(Accumulated { trees, survivors: Vec::new(), ended });
        }
        thread::sleep(SELFTEST_SETTLE_DELAY);
        let survivors = left(&rest)?;
        if survivors.len() == rest.len() {
            return Ok(Accumulated { trees, survivors, ended: None });
        }
        instance.remember();
        // No process is left, or a few are, which the next daemon ends.
    }
    Err(format!("in {ATTEMPTS} attempts the guards were quicker than a kill; nothing could be left behind"))
}

/// Starts every server and returns the trees.
fn start(instance: &Instance<'_>) -> Result<Vec<TreeRecord>, String> {
    instance.start()?;
    let mut client = instance.client("selftest")?;
    let mut trees = Vec::new();
    for name in SERVERS {
        let said = client.call(&format!("{name}__pid"), &json!({}))?;
        let pid = said.parse().map_err(|_| format!("{name} said `{said}` when it was asked for its pid"))?;
        trees.push(instance.tree_of(pid)?);
    }
    client.finish()?;
    Ok(trees)
}

/// Whether exactly these processes will be ended.
fn only(cleanup: &Cleanup, survivors: &[Identity]) -> Result<(), String> {
    let ended = cleanup.found.iter().filter_map(|found| match found {
        Found::Process { pid, action: Action::Kill, .. } => Some(*pid),
        Found::Process { .. } | Found::File { .. } => None,
    });
    let ended: BTreeSet<u32> = ended.collect();
    let wanted: BTreeSet<u32> = survivors.iter().map(|identity| identity.pid).collect();
    if ended == wanted {
        return Ok(());
    }
    Err(format!("left behind are the pids {wanted:?}, and `exai cleanup` would end {ended:?}"))
}
