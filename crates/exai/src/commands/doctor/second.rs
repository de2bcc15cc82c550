//! Another daemon for the same state directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use exai_config::other_daemons::{self, home_of, serves};
use exai_daemon::redacted_command::bare_name;
use exai_os::{inspect, process};

use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use crate::commands::count;
use crate::limits::SUCCESSION_TIMEOUT;

pub(super) fn second_daemon(scene: &Scene) -> CheckOutcome {
    if !command_lines_are_known() {
        return CheckOutcome::skip("this system does not show what other processes were told to do");
    }
    let ours = real(scene.home.path());
    let rightful = scene.daemon_pid().or(scene.holder);
    let (mut same, mut others, mut unknown) = (Vec::new(), BTreeSet::new(), 0);
    let me = std::process::id();
    let candidates = scene.processes.iter().filter(|process| !process.zombie && process.pid != me);
    for pid in candidates.map(|process| process.pid) {
        if Some(pid) == rightful
            || !is_exai(pid)
            || !serves(pid)
            || !inspect::is_of_this_account(pid).unwrap_or(false)
        {
            continue;
        }
        // A child of a daemon that has not executed its program yet still looks like its parent.
        if scene.above(pid).next().is_some_and(|parent| is_exai(parent.pid) && serves(parent.pid)) {
            continue;
        }
        match home_of(pid) {
            Some(home) if real(&home) == ours => same.push(pid),
            Some(home) => _ = others.insert(home.display().to_string()),
            None => unknown += 1,
        }
    }
    let young = |pid: &u32| scene.age(*pid).is_some_and(|age| age < SUCCESSION_TIMEOUT);
    let (young, old): (Vec<u32>, Vec<u32>) = same.into_iter().partition(young);
    let shown = |pids: &[u32]| {
        let each = |pid: &u32| {
            format!("{}: it runs `exai serve` for {}", scene.name(*pid), scene.home.path().display())
        };
        listed(&pids.iter().map(each).collect::<Vec<_>>())
    };
    if let Some(first) = old.first() {
        let holder = rightful.map_or_else(|| "nobody".to_owned(), |pid| format!("pid {pid}"));
        return CheckOutcome::fail(format!("{}; the lock is held by {holder}", shown(&old)))
            .fix(format!("end it: kill {first}; the daemon that holds the lock is not touched by that"));
    }
    if !young.is_empty() {
        return CheckOutcome::warn(format!(
            "{}; it is a few seconds old and about to give way",
            shown(&young)
        ))
        .fix("look again in a few seconds");
    }
    let mut detail = match rightful {
        Some(pid) => format!("pid {pid} is the only daemon of this state directory"),
        None => "no process runs `exai serve` for this state directory".to_owned(),
    };
    if !others.is_empty() {
        let others: Vec<String> = others.into_iter().collect();
        detail =
            format!("{detail}; other state directories have their own, which is fine: {}", listed(&others));
    }
    let hosted = scene.config.as_ref().map_or(1, |config| config.servers.len());
    if let Some(sentence) = other_daemons::tell(&scene.home, hosted) {
        detail = format!("{detail}; {sentence}");
    }
    if unknown > 0 {
        detail = format!("{detail}; of {} the state directory is not known", count(unknown, "other daemon"));
    }
    CheckOutcome::pass(detail)
}

/// Whether the system shows command lines: Linux does.
pub(super) fn command_lines_are_known() -> bool {
    process::command_line(std::process::id()).is_ok()
}

/// Whether the process executes an exai program, by the name of its file.
pub(super) fn is_exai(pid: u32) -> bool {
    let name = |path: PathBuf| bare_name(&path.to_string_lossy());
    let found = process::executable(pid).ok().map(name);
    found.is_some_and(|found| found == "exai" || std::env::current_exe().ok().map(name) == Some(found))
}

pub(super) fn real(path: &Path) -> PathBuf {
    dunce::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
