//! Processes of this program for this state directory that the daemon does not know: a second daemon, a guard of another
//! daemon, a shim that is not connected.
//!
//! The evidence comes from the kernel: the file that a process executes, its arguments, and the `EXAI_HOME` that it was
//! started with. A process that only has the same name is left out.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use exai_os::process::{self, ProcessInfo};
use exai_proto::documents::Unexpected;

/// For how many looks a process may be unknown: a start that loses the race for the lock ends soon, and a shim connects
/// soon.
const PATIENCE: u32 = 6;

/// The processes that look like ours, from look to look.
#[derive(Debug)]
pub(crate) struct UnknownProcesses {
    home: PathBuf,
    nonce: String,
    /// The executable of this process, and its short name.
    program: Option<(PathBuf, String)>,
    met: HashMap<(u32, u64), Met>,
}

#[derive(Debug, Default)]
struct Met {
    /// Processes are judged only after that: a process starts as a copy of its starter, arguments included.
    what: Option<What>,
    looks: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    NotOurs,
    Daemon,
    Guard { of: String, nonce: String },
    Shim,
}

impl UnknownProcesses {
    pub(crate) fn new(home: PathBuf, nonce: String, table: &[ProcessInfo]) -> Self {
        let me = std::process::id();
        let name = table.iter().find(|one| one.pid == me).map(|one| one.name.clone());
        let program = name.and_then(|name| Some((process::executable(me).ok()?, name)));
        UnknownProcesses { home, nonce, program, met: HashMap::new() }
    }

    /// The processes that should not be there. `known` are the pids that should.
    pub(crate) fn unexpected(&mut self, table: &[ProcessInfo], known: &BTreeSet<u32>) -> Vec<Unexpected> {
        let Some((program, name)) = self.program.clone() else { return Vec::new() };
        let alike = |one: &&ProcessInfo| one.name == name && !one.zombie && !known.contains(&one.pid);
        let alike: Vec<&ProcessInfo> = table.iter().filter(alike).collect();
        let mut found = Vec::new();
        for one in &alike {
            let met = self.met.entry((one.pid, one.start)).or_default();
            met.looks += 1;
            if met.looks > PATIENCE {
                let first = met.what.is_none();
                let what = met.what.get_or_insert_with(|| what(one.pid, &program, &self.home));
                found.extend(what.unexpected(one.pid, &self.nonce, first));
            }
        }
        let living: BTreeSet<(u32, u64)> = alike.iter().map(|one| (one.pid, one.start)).collect();
        self.met.retain(|key, _| living.contains(key));
        found
    }
}

fn what(pid: u32, program: &Path, home: &Path) -> What {
    let same_program = process::executable(pid).is_ok_and(|exe| exe == program);
    if !same_program || !serves(pid, home) {
        return What::NotOurs;
    }
    let args = process::command_line(pid).unwrap_or_default();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "serve", ..] => What::Daemon,
        [_, "guard", nonce, of, ..] => What::Guard { of: (*of).to_owned(), nonce: (*nonce).to_owned() },
        // A shim with a URL has no link that could be seen.
        [_, "shim", rest @ ..] if !rest.iter().any(|arg| arg.starts_with("--url")) => What::Shim,
        _ => What::NotOurs,
    }
}

/// Whether a process was started for this state directory.
fn serves(pid: u32, home: &Path) -> bool {
    exai_config::other_daemons::home_of(pid).is_some_and(|named| named == home)
}

impl What {
    fn unexpected(&self, pid: u32, nonce: &str, first: bool) -> Option<Unexpected> {
        let (kind, of, reason) = match self {
            What::NotOurs => return None,
            What::Daemon => {
                let reason = "runs `exai serve` for this state directory and is not the daemon";
                ("second-daemon", None, reason.to_owned())
            }
            What::Guard { of, nonce: theirs } if theirs == nonce => {
                ("left-over", Some(of.clone()), format!("is a guard of {of}, which runs no more"))
            }
            What::Guard { of, nonce: theirs } => {
                ("left-over", Some(of.clone()), format!("is a guard of {of} of an earlier daemon ({theirs})"))
            }
            What::Shim => {
                let reason = "is a shim for this state directory and is not connected";
                ("unknown-shim", None, reason.to_owned())
            }
        };
        if first {
            tracing::warn!(pid, kind, reason, "an unexpected process");
        }
        Some(Unexpected { kind: kind.to_owned(), pid, of, reason })
    }
}
