//! Finding, proving and ending what a dead daemon left behind.
//!
//! Guards end the trees of a daemon that dies. Something is left only when daemon and guard die at the same moment,
//! and then the records in `servers/` are the only trace.
//!
//! # What proves that a process is ours
//!
//! - **By record**: the kernel gives the living process the identity (boot, pid, start time) that a record
//!   of a dead daemon names.
//! - **By descent**: it is a child, and not older than its parent, of a process that is proven.
//! - **By descent tag**: it has the tree's descent tag ([`exai_os::descent_tag`]), which it can only have inherited (Linux).
//! - **By its arguments**: it runs `exai guard` for exactly this tree.
//!
//! The environment's marker alone proves nothing: a browser that a server opened for its user inherits it. A process
//! that is not proven is reported with the reason and left alone. So are, whatever a record says, this process and
//! its ancestors, pid 1, and the processes of other accounts.
//!
//! A tree whose record could not be written because the disk was full is found by descent tag and marker together, if
//! the record of the dead daemon itself gives its nonce (Linux).
//!
//! A record is removed when everything that it names is gone. It stays as long as a process lives that may be of its
//! tree and cannot be proven to be, so that the next look finds that process again.

use std::path::Path;

mod end;
mod files;
mod found;
mod prove;
mod table;

pub use end::end;
pub use files::{remove, temporaries};
pub use found::{
    CleanupOutcome, ENV_MARKER, LeftFile, LeftProcess, LeftTree, Leftovers, Living, Predecessor, Verdict,
    env_marker,
};

/// Looks at the records in `servers_dir`, and for living processes of their trees. `living` is the daemon that lives
/// now, if one does. Its trees are passed over, and so are those of any other daemon whose process lives. If the
/// daemon `last` is dead, its trees without a record are searched for as well.
///
/// Reads only. An empty or missing directory costs one look at it.
///
/// # Errors
/// The system's, when the directory or the process table cannot be read.
pub fn find(
    servers_dir: &Path,
    living: Option<&Living>,
    last: Option<&Predecessor>,
) -> std::io::Result<Leftovers> {
    let mut found = files::scan(servers_dir, living.map(|daemon| &*daemon.instance))?;
    found.spared = living.map(|daemon| daemon.pid);
    let is_other = |last: &&Predecessor| living.is_none_or(|living| living.instance != last.instance);
    let last = last.filter(is_other).filter(|last| !files::lives(&last.identity));
    if found.trees.is_empty() && last.is_none() {
        return Ok(found);
    }
    let table = table::Table::take(found.spared)?;
    if let Some(last) = last {
        let unrecorded = prove::unrecorded(last, &found.trees, &table);
        found.trees.extend(unrecorded);
    }
    for tree in &mut found.trees {
        prove::look(tree, &table);
        let keeper = tree.processes.iter().find(|process| process.keeps_the_record());
        if let (Some(process), Some(file)) = (keeper, &mut tree.file) {
            file.reason = format!("{}; it stays because of pid {}", file.reason, process.identity.pid);
            file.removable = false;
        }
    }
    Ok(found)
}
