//! Which processes of a tree speak after its root has exited.
//!
//! A launcher may exit, or be killed, while its server lives on. The end of such a server shows neither in the root nor in
//! the pipes: its children, and whatever else was started beside it, hold the pipes open.

use exai_os::process::{self, ProcessInfo};
use exai_os::tree::Tree;
use tokio::time::sleep;

use crate::limits::MEMBERS_INTERVAL;
use crate::tree::{Count, count, members};

/// The processes that have written something while lines came from stdout.
#[derive(Debug)]
pub(crate) struct Speakers(Vec<Count>);

impl Speakers {
    /// The processes whose counters say that they have written between two counts. `None` where the system counts nothing.
    pub(crate) fn between(before: &[Count], after: Vec<Count>) -> Option<Self> {
        let written = |count: &Count| {
            let same = |other: &&Count| (other.pid, other.start) == (count.pid, count.start);
            let earlier = before.iter().find(same).map_or(0, |earlier| earlier.io.written);
            count.io.written > earlier
        };
        let found: Vec<Count> = after.into_iter().filter(written).collect();
        (!found.is_empty()).then_some(Speakers(found))
    }

    /// Waits until all of them are gone. Cancel safe.
    pub(crate) async fn gone(&self) {
        loop {
            sleep(MEMBERS_INTERVAL).await;
            let Ok(Ok(table)) = tokio::task::spawn_blocking(process::snapshot).await else { continue };
            let lives = |one: &Count| {
                let is_it = |row: &ProcessInfo| row.pid == one.pid && row.start == one.start && !row.zombie;
                table.iter().any(is_it)
            };
            if !self.0.iter().any(lives) {
                return;
            }
        }
    }
}

/// Counts the members of a tree, where the system tells.
pub(crate) fn count_members(tree: &Tree) -> impl Future<Output = Vec<Count>> + use<> {
    let (root, guard, roster) = (tree.root().clone(), tree.guard().cloned(), tree.roster());
    let look = move || {
        let table = process::snapshot().unwrap_or_default();
        count(&members(&table, guard.as_ref(), &root, &roster))
    };
    async { tokio::task::spawn_blocking(look).await.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use exai_os::process_facts::IoCounters;

    use super::*;

    #[test]
    fn a_process_speaks_if_it_has_written() {
        let count = |pid, start, written| Count { pid, start, io: IoCounters { read: 9, written } };
        let before = [count(1, 1, 5), count(2, 1, 5), count(3, 1, 5)];
        let after = vec![count(1, 1, 5), count(2, 1, 6), count(3, 2, 5), count(4, 1, 0)];
        let found = Speakers::between(&before, after).map(|found| found.0);
        let pids = found.map(|found| found.iter().map(|one| one.pid).collect::<Vec<_>>());
        assert_eq!(pids, Some(vec![2, 3]), "3 is another process with the same number");
        assert!(Speakers::between(&before, before.to_vec()).is_none());
    }
}
