//! Which processes belong to a tree.

use std::collections::{HashMap, HashSet};

use exai_os::process::{Identity, ProcessInfo};
use exai_os::tree::Roster;

/// The living members of a tree, parents before their children: the guard first, then all that descends from it. On
/// Linux the guard becomes the parent of every orphan of its tree, so no member is left out.
///
/// Without a living guard: the root, and what descends from it. Empty when the root is gone, too. A process that is
/// older than its parent is no child: the number of the parent was used again.
///
/// Where the system keeps a list of the members, only that list counts.
pub fn members(
    table: &[ProcessInfo],
    guard: Option<&Identity>,
    root: &Identity,
    roster: &Roster,
) -> Vec<ProcessInfo> {
    if let Some(pids) = roster.pids() {
        let mut listed: Vec<ProcessInfo> =
            table.iter().filter(|row| !row.zombie && pids.contains(&row.pid)).cloned().collect();
        listed.sort_by_key(|row| (row.start, row.pid));
        return listed;
    }
    let living = |identity: &Identity| {
        let is = |row: &&ProcessInfo| row.pid == identity.pid && row.start == identity.start && !row.zombie;
        table.iter().find(is)
    };
    let Some(top) = guard.and_then(living).or_else(|| living(root)) else { return Vec::new() };
    let mut children: HashMap<u32, Vec<&ProcessInfo>> = HashMap::new();
    for row in table.iter().filter(|row| !row.zombie) {
        children.entry(row.ppid).or_default().push(row);
    }
    for siblings in children.values_mut() {
        // Takes the oldest first: it is last in the list.
        siblings.sort_by_key(|row| std::cmp::Reverse((row.start, row.pid)));
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![top];
    while let Some(next) = waiting.pop() {
        if !seen.insert(next.pid) {
            continue;
        }
        found.push(next.clone());
        let below = children.get(&next.pid).into_iter().flatten();
        waiting.extend(below.filter(|child| child.start >= next.start));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, parent: u32, start: u64) -> ProcessInfo {
        let name = String::new();
        ProcessInfo { pid, ppid: parent, pgid: 0, name, start, rss_bytes: 0, zombie: false }
    }

    fn identity(pid: u32, start: u64) -> Identity {
        Identity { boot: "b".to_owned(), pid, start }
    }

    fn pids(table: &[ProcessInfo], guard: Option<&Identity>, root: &Identity) -> Vec<u32> {
        members(table, guard, root, &Roster::default()).iter().map(|row| row.pid).collect()
    }

    #[test]
    fn everything_below_the_guard() {
        let zombie = ProcessInfo { zombie: true, ..row(7, 3, 30) };
        // 5 is older than its parent, 6 has become a child of the guard, and 9 belongs to another tree.
        let table = [
            row(4, 3, 13),
            row(6, 2, 14),
            row(2, 1, 10),
            row(3, 2, 11),
            row(5, 3, 9),
            row(8, 4, 20),
            row(9, 1, 5),
            zombie,
        ];
        let (guard, root) = (identity(2, 10), identity(3, 11));
        assert_eq!(pids(&table, Some(&guard), &root), [2, 3, 4, 8, 6]);
        assert_eq!(pids(&table, None, &root), [3, 4, 8]);
    }

    #[test]
    fn a_number_used_again_is_nobody() {
        let table = [row(2, 1, 10), row(3, 2, 11), row(4, 3, 12)];
        let (other_guard, root, other_root) = (identity(2, 8), identity(3, 11), identity(3, 1));
        assert_eq!(pids(&table, Some(&other_guard), &root), [3, 4]);
        assert_eq!(pids(&table, Some(&other_guard), &other_root), [] as [u32; 0]);
        // A real table has no cycle, but a cycle must not hang exai.
        let cycle = [row(2, 4, 10), row(3, 2, 10), row(4, 3, 10)];
        assert_eq!(pids(&cycle, None, &identity(3, 10)), [3, 4, 2]);
    }
}
