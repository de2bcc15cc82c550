//! The account, its state directory, and the free space in it.

use std::io;
use std::path::Path;

use exai_config::HomeError;
use exai_os::account::{self, AccountError};
use exai_os::inspect::{self, Entry, EntryKind};
use exai_os::platform_hints;

use super::outcome::{CheckOutcome, size};
use super::scene::Scene;
use crate::limits::{FULL_DISK_BYTES, LARGE_LOGS_BYTES, SCARCE_DISK_BYTES};

pub(super) fn account(no_home: Option<&HomeError>) -> CheckOutcome {
    if let Some(error) = no_home {
        return CheckOutcome::fail(format!("the state directory is not known: {error}"))
            .fix("set EXAI_HOME to a directory of your own");
    }
    if let Some(reason) = account::runs_for_another_account() {
        return CheckOutcome::warn(format!(
            "{reason}: it starts no daemon, and what it sees may not be yours"
        ))
        .fix(format!("run it {}", platform_hints::AS_YOURSELF));
    }
    match account::current() {
        Ok(account) => CheckOutcome::pass(format!("this is the account {}", account.name)),
        Err(AccountError::NoEntry { uid }) => CheckOutcome::pass(format!(
            "uid {uid} has no account entry; EXAI_HOME names the state directory, and servers get the environment of \
             whoever starts the daemon"
        )),
        Err(error) => CheckOutcome::warn(error.to_string()),
    }
}

pub(super) fn state_dir(scene: &Scene) -> CheckOutcome {
    let path = scene.home.path();
    let shown = path.display();
    let found = match inspect::entry(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return CheckOutcome::pass(format!("{shown} does not exist yet; `exai start` makes it"));
        }
        Err(error) => {
            return CheckOutcome::fail(format!("{shown} cannot be looked at: {error}")).fix(ELSEWHERE);
        }
    };
    let (real, linked) = match found.kind {
        EntryKind::Directory => (path.to_owned(), String::new()),
        EntryKind::Link => match dunce::canonicalize(path) {
            Ok(real) => {
                let linked = format!(", a link to {}", real.display());
                (real, linked)
            }
            Err(error) => {
                return CheckOutcome::fail(format!("{shown} is a link that leads nowhere: {error}"))
                    .fix(ELSEWHERE);
            }
        },
        kind => {
            let detail = format!("{shown} is {}, not a directory", kind.in_words());
            return CheckOutcome::fail(detail).fix(ELSEWHERE);
        }
    };
    judge_dir(&real, &format!("{shown}{linked}"))
}

const ELSEWHERE: &str = "set EXAI_HOME to a local directory of your own";

fn judge_dir(real: &Path, shown: &str) -> CheckOutcome {
    let found = match inspect::entry(real) {
        Ok(found) if found.kind == EntryKind::Directory => found,
        Ok(found) => {
            return CheckOutcome::fail(format!("{shown} is {}, not a directory", found.kind.in_words()))
                .fix(ELSEWHERE);
        }
        Err(error) => {
            return CheckOutcome::fail(format!("{shown} cannot be looked at: {error}")).fix(ELSEWHERE);
        }
    };
    if let Some(owner) = found.foreign_owner {
        return CheckOutcome::fail(format!("{shown} belongs to {owner}, not to this account")).fix(ELSEWHERE);
    }
    match inspect::network_filesystem(real) {
        Ok(None) => {}
        Ok(Some(kind)) => {
            let detail =
                format!("{shown} is on a network file system ({kind}), where locks cannot be relied on");
            return CheckOutcome::fail(detail).fix(ELSEWHERE);
        }
        Err(error) => return CheckOutcome::fail(format!("{shown} cannot be opened: {error}")).fix(ELSEWHERE),
    }
    let for_everybody = found.mode.is_some_and(|mode| mode & 0o1000 != 0);
    if for_everybody || real.parent().is_none() {
        return CheckOutcome::fail(format!("{shown} is a directory for everybody")).fix(ELSEWHERE);
    }
    if !inspect::is_writable(real) {
        return CheckOutcome::fail(format!(
            "{shown} cannot be written to by this account{}",
            in_mode(&found)
        ))
        .fix(format!("chmod 700 {}", real.display()));
    }
    if let Some((sentence, fix)) = open_to_others(&found, real, shown) {
        return CheckOutcome::warn(sentence).fix(fix);
    }
    CheckOutcome::pass(format!("{shown} is ours, private and local"))
}

/// The problem of a directory that others may enter, and how to make it private.
pub(super) fn open_to_others(found: &Entry, path: &Path, shown: &str) -> Option<(String, String)> {
    let fix = if found.mode.is_some() {
        format!("chmod 700 {}", path.display())
    } else {
        "exai restart".to_owned()
    };
    let sentence = format!("{shown} is open to others{}; the next start makes it private", in_mode(found));
    found.open_to_others.then_some((sentence, fix))
}

fn in_mode(found: &Entry) -> String {
    found.mode.map(|mode| format!(" (mode {mode:04o})")).unwrap_or_default()
}

/// The nearest directory that exists: before the first start there is no state directory.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path)
}

pub(super) fn disk(scene: &Scene) -> CheckOutcome {
    let place = existing(scene.home.path());
    let space = match inspect::space(place) {
        Ok(space) => space,
        Err(error) => {
            return CheckOutcome::skip(format!(
                "the file system does not say how much room there is: {error}"
            ));
        }
    };
    let detail = format!("{} free where the state directory is", size(space.bytes));
    let make_room = "make room on that file system";
    match space.files {
        _ if space.bytes < FULL_DISK_BYTES => CheckOutcome::fail(detail).fix(make_room),
        Some(files) if files < 100 => {
            CheckOutcome::fail(format!("the file system takes {files} more files only")).fix(make_room)
        }
        _ if space.bytes < SCARCE_DISK_BYTES => CheckOutcome::warn(detail).fix(make_room),
        _ => CheckOutcome::pass(detail),
    }
}

pub(super) fn logs(scene: &Scene) -> CheckOutcome {
    let dir = scene.home.log_dir();
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return CheckOutcome::pass("there are no logs yet");
        }
        Err(error) => {
            let detail = format!("{} cannot be read: {error}", dir.display());
            return CheckOutcome::fail(detail).fix(format!("see what it is: ls -ld {}", dir.display()));
        }
    };
    if !inspect::is_writable(&dir) {
        return CheckOutcome::fail(format!("{} cannot be written to", dir.display()))
            .fix(format!("chmod 700 {}", dir.display()));
    }
    let files: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| inspect::entry(&entry.path()).ok())
        .map(|found| found.length)
        .collect();
    let bytes = files.iter().sum();
    let detail =
        format!("{} in {} ({})", size(bytes), crate::commands::count(files.len(), "log"), dir.display());
    if bytes > LARGE_LOGS_BYTES {
        return CheckOutcome::warn(format!("{detail}: more than expected"))
            .fix("remove what you do not need; logs of removed servers stay until you do");
    }
    CheckOutcome::pass(detail)
}
