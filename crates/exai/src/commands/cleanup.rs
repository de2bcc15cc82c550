//! `exai cleanup`: shows what a dead daemon left behind, and with `--apply` ends and removes it.

use std::io;
use std::time::Instant;

use exai_client::DaemonConnector;
use exai_client::DaemonState;
use exai_config::{Home, HomeError};
use exai_os::private::{self, DirChecked};
use exai_proto::documents::{Action, Cleanup, DaemonRecord, Found, SCHEMA};
use exai_proto::exit;
use exai_supervisor::leftovers::{self, CleanupOutcome, LeftFile, LeftProcess, Leftovers, Living, Verdict};
use exai_supervisor::record::TreeRole;

use super::connector;
use crate::cli::CleanupArgs;
use crate::error::Error;
use crate::limits::CLEANUP_TIMEOUT;
use crate::printer::Printer;

mod show;
mod state;

pub(crate) fn run(args: &CleanupArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    let mut document = Cleanup { schema: SCHEMA, applied: args.apply, ..Cleanup::default() };
    let mut left = false;
    if is_there(home, printer)? {
        let scene = Scene::look(&connector)?;
        if let Some(pid) = scene.wedged {
            printer.warn(&format!(
                "the daemon (pid {pid}) lives and does not answer; cleanup leaves it alone, `exai restart` replaces it"
            ));
        }
        let last = exai_daemon::last_daemon(home);
        let mut found = leftovers::find(&home.servers_dir(), scene.living.as_ref(), last.as_ref())
            .map_err(|error| Error::failed(format!("cannot look for what was left behind: {error}")))?;
        let mut files = state::find(home, scene.lives)
            .map_err(|error| Error::failed(format!("cannot read {}: {error}", home.path().display())))?;
        if args.apply {
            leftovers::end(&mut found, Instant::now() + CLEANUP_TIMEOUT);
            state::remove(home, &mut files);
        }
        document.freed_bytes = found.freed_bytes();
        document.found = listed(&found, &files.all());
        left = something_is_left(&found, &files.all());
    }
    if args.json.json {
        printer.json(&document)?;
    } else {
        show::show(&document, left, printer)?;
    }
    let clean = if args.apply { !left } else { document.found.is_empty() };
    Ok(if clean { exit::DONE } else { exit::FINDINGS })
}

/// Whether there is a state directory; one that is not ours is refused. Creates nothing.
fn is_there(home: &Home, printer: &Printer) -> Result<bool, Error> {
    for directory in [home.path().to_owned(), home.servers_dir()] {
        match std::fs::symlink_metadata(&directory) {
            Ok(found) if found.is_symlink() && directory != home.path() => continue, // said as a finding
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory == home.path() => {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Error::failed(format!("cannot look at {}: {error}", directory.display())));
            }
        }
        let checked = private::ensure_dir(&directory).map_err(HomeError::from)?;
        if let DirChecked::Tightened { was } = checked {
            let note = exai_config::Note::Tightened { path: directory, was };
            printer.warn(&note.to_string());
        }
    }
    Ok(true)
}

/// What is known of a living daemon.
struct Scene {
    /// A daemon holds the lock, or answers.
    lives: bool,
    living: Option<Living>,
    wedged: Option<u32>,
}

impl Scene {
    fn look(connector: &DaemonConnector) -> Result<Scene, Error> {
        let alive = |instance: String, pid| {
            let living = Some(Living { instance, pid });
            Scene { lives: true, living, wedged: None }
        };
        let recorded = |record: Box<DaemonRecord>| alive(record.instance, record.pid);
        Ok(match connector.observe()? {
            DaemonState::Answering(link) => alive(link.daemon().instance.clone(), link.daemon().pid),
            DaemonState::Stopping(record) => recorded(record),
            DaemonState::Wedged { record, .. } => Scene { wedged: Some(record.pid), ..recorded(record) },
            // The trees of a living daemon name its process.
            DaemonState::Starting | DaemonState::Refusing { .. } => {
                Scene { lives: true, living: None, wedged: None }
            }
            DaemonState::Stale(_) | DaemonState::Absent => Scene { lives: false, living: None, wedged: None },
        })
    }
}

fn listed(found: &Leftovers, state: &[&LeftFile]) -> Vec<Found> {
    let mut all = Vec::new();
    for tree in &found.trees {
        all.extend(tree.processes.iter().map(|found| process(found, &tree.record.id)));
        all.extend(tree.file.iter().map(file));
    }
    all.extend(found.files.iter().chain(state.iter().copied()).map(file));
    all
}

fn process(found: &LeftProcess, of: &str) -> Found {
    let (proof, reason, action) = match &found.verdict {
        Verdict::Ours { proof } if found.place == Some(TreeRole::Guard) => {
            let proof = format!("{proof}; it is at work and is given 5 s to end its tree");
            (Some(proof), None, Action::Kill)
        }
        Verdict::Ours { proof } => (Some(proof.clone()), None, Action::Kill),
        Verdict::Stranger { reason } | Verdict::Unproven { reason } => {
            (None, Some(reason.clone()), Action::Leave)
        }
    };
    Found::Process {
        pid: found.identity.pid,
        name: Some(found.name.clone()),
        of: Some(of.to_owned()),
        proof,
        reason,
        rss_bytes: found.rss_bytes,
        action,
        outcome: found.outcome.as_ref().map(word),
    }
}

fn file(found: &LeftFile) -> Found {
    Found::File {
        path: found.path.display().to_string(),
        reason: Some(found.reason.clone()),
        action: if found.removable { Action::Remove } else { Action::Leave },
        outcome: found.outcome.as_ref().map(word),
    }
}

fn word(outcome: &CleanupOutcome) -> String {
    match outcome {
        CleanupOutcome::Ended => "ended".to_owned(),
        CleanupOutcome::Gone => "was gone".to_owned(),
        CleanupOutcome::Removed => "removed".to_owned(),
        CleanupOutcome::Left { reason } => format!("left: {reason}"),
    }
}

fn something_is_left(found: &Leftovers, state: &[&LeftFile]) -> bool {
    let processes = found.trees.iter().flat_map(|tree| &tree.processes).map(|process| &process.outcome);
    let records = found.trees.iter().filter_map(|tree| tree.file.as_ref()).map(|file| &file.outcome);
    let files = found.files.iter().chain(state.iter().copied()).map(|file| &file.outcome);
    processes.chain(records).chain(files).any(|outcome| matches!(outcome, Some(CleanupOutcome::Left { .. })))
}
