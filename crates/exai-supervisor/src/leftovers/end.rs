//! Ending the processes that are proven to be ours.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Instant;

use exai_os::process::{Identity, Kill, Killed, kill_verified, wait_gone};

use super::files::remove;
use super::found::{CleanupOutcome, LeftProcess, Leftovers, Verdict};
use super::prove;
use super::table::Table;
use crate::limits::{
    DEADLINE_RESERVE, GUARD_TIMEOUT, KILL_BESIDE_GUARD_TIMEOUT, KILL_ROUND_TIMEOUT, TERMINATE_TIMEOUT,
};
use crate::record::TreeRole;

/// Ends every process that is proven to be ours, removes the files that may be removed, and notes the `outcome` of
/// each. Children that proven processes start meanwhile are found and ended, too.
///
/// A guard at work is given up to five seconds. Blocks until everything is proven to be gone, and at most a moment
/// beyond `deadline`. The identity of each process is checked again at the moment when it is signalled.
pub fn end(found: &mut Leftovers, deadline: Instant) {
    if !found.trees.is_empty() {
        end_trees(found, deadline);
    }
    found.files.iter_mut().for_each(remove);
}

fn end_trees(found: &mut Leftovers, deadline: Instant) {
    let mut ending = Ending::default();
    let outcome = ending.processes(found, deadline);
    let table = outcome.and_then(|()| Table::take(found.spared));
    for tree in &mut found.trees {
        for process in &mut tree.processes {
            process.outcome = Some(match &table {
                Ok(table) => ending.outcome(process, table),
                Err(error) => {
                    CleanupOutcome::Left { reason: format!("the process table cannot be read: {error}") }
                }
            });
        }
        let keeper = tree.processes.iter().find(|process| process.keeps_the_record());
        match (keeper, &mut tree.file) {
            (_, None) => {}
            (Some(process), Some(file)) => {
                let reason = format!("pid {} still lives", process.identity.pid);
                file.outcome = Some(CleanupOutcome::Left { reason });
            }
            (None, Some(file)) => {
                // The process that kept the record may be gone now.
                file.removable = true;
                remove(file);
            }
        }
    }
}

#[derive(Default)]
struct Ending {
    signalled: HashSet<Identity>,
    refused: HashMap<Identity, String>,
}

impl Ending {
    fn processes(&mut self, found: &mut Leftovers, deadline: Instant) -> io::Result<()> {
        let now = Instant::now();
        let patience = deadline.checked_sub(DEADLINE_RESERVE).unwrap_or(now).min(now + GUARD_TIMEOUT);
        for guard in found.trees.iter().filter_map(|tree| tree.guard()) {
            wait_gone(&guard.identity, patience)?;
        }
        let first = self.signal(&living(found)?, Kill::Terminate, false);
        wait_all(&first, deadline.min(Instant::now() + TERMINATE_TIMEOUT));
        let start = Instant::now();
        loop {
            let left = living(found)?;
            if left.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            let hit = self.signal(&left, Kill::Force, start.elapsed() > KILL_BESIDE_GUARD_TIMEOUT);
            wait_all(&hit, deadline.min(Instant::now() + KILL_ROUND_TIMEOUT));
        }
    }

    /// Signals the processes. Guards are signalled only when no other process is left, or when `all` says so: a
    /// living guard becomes the parent of orphans of its tree, so that they can be found.
    fn signal(&mut self, living: &[LeftProcess], how: Kill, all: bool) -> Vec<Identity> {
        let is_guard = |process: &LeftProcess| process.place == Some(TreeRole::Guard);
        let guards = all || living.iter().all(is_guard);
        let meant = living.iter().filter(|process| guards || !is_guard(process));
        let meant: Vec<Identity> = meant.map(|process| process.identity.clone()).collect();
        for identity in &meant {
            match kill_verified(identity, how) {
                Ok(Killed::Signalled) => drop(self.signalled.insert(identity.clone())),
                Ok(Killed::AlreadyGone | Killed::NotTheSame) => {}
                Err(error) => drop(self.refused.insert(identity.clone(), error.to_string())),
            }
        }
        meant
    }

    fn outcome(&self, process: &LeftProcess, table: &Table) -> CleanupOutcome {
        let identity = &process.identity;
        if table.living(identity).is_none() {
            return if self.signalled.contains(identity) {
                CleanupOutcome::Ended
            } else {
                CleanupOutcome::Gone
            };
        }
        let reason = match (&process.verdict, self.refused.get(identity)) {
            (Verdict::Stranger { reason } | Verdict::Unproven { reason }, _) => reason.clone(),
            (Verdict::Ours { .. }, Some(error)) => format!("it cannot be ended: {error}"),
            (Verdict::Ours { .. }, None) => "it still lives though it was killed".to_owned(),
        };
        CleanupOutcome::Left { reason }
    }
}

/// Looks again for living processes that are proven to be ours, old and new.
fn living(found: &mut Leftovers) -> io::Result<Vec<LeftProcess>> {
    if found.trees.is_empty() {
        return Ok(Vec::new());
    }
    let table = Table::take(found.spared)?;
    let mut all = Vec::new();
    for tree in &mut found.trees {
        prove::look(tree, &table);
        let ours = tree.processes.iter().filter(|process| process.is_ours());
        all.extend(ours.filter(|process| table.living(&process.identity).is_some()).cloned());
    }
    Ok(all)
}

fn wait_all(processes: &[Identity], until: Instant) {
    for identity in processes {
        // The next look at the table shows a process that cannot be waited for.
        let _ = wait_gone(identity, until);
    }
}
