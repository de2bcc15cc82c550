//! The daemon: which process it is, whether it answers, whether it is of this build.

use exai_client::daemon_record::process_lives;
use exai_config::other_daemons::serves;
use exai_os::inspect::{self, ProgramFile};
use exai_os::{lock, process};
use exai_proto::documents::DaemonRecord;

use super::outcome::{CheckOutcome, listed};
use super::scene::{Record, Scene, View};
use super::second::is_exai;

const NO_DAEMON: &str = "no daemon runs (`exai start` starts it)";

pub(super) fn lock(scene: &Scene) -> CheckOutcome {
    let path = scene.home.instance_lock();
    let shown = path.display();
    let held = match lock::is_held(&path) {
        Ok(held) => held,
        Err(error) => {
            return CheckOutcome::fail(format!("{shown} cannot be used as a lock: {error}"))
                .fix(format!("move it away: mv {shown} {shown}.away"));
        }
    };
    let living = match &scene.record {
        Record::Found(record) if process_lives(&record.identity) => Some(record.pid),
        Record::Found(_) | Record::Missing | Record::Broken(_) => None,
    };
    match (held, scene.holder, living) {
        (false, _, Some(pid)) if !path.exists() => CheckOutcome::fail(format!(
            "{shown} is gone, and the daemon it protected (pid {pid}) lives: somebody removed the file"
        ))
        .fix("exai restart"),
        (false, ..) => CheckOutcome::pass("nobody holds instance.lock: no daemon runs"),
        (true, Some(pid), _) if scene.daemon_pid() == Some(pid) && answers_as(scene, pid) => {
            CheckOutcome::pass(format!("{} holds instance.lock and is the daemon that answers", scene.name(pid)))
        }
        (true, Some(pid), _) if !(is_exai(pid) && serves(pid)) => CheckOutcome::fail(format!(
            "instance.lock is held by {}, which is not known as an exai daemon; as long as it is, none starts",
            scene.name(pid)
        ))
        .fix(format!("find out what pid {pid} is, and end it yourself")),
        (true, Some(pid), Some(record)) if record != pid => CheckOutcome::fail(format!(
            "{} holds instance.lock, and daemon.json names pid {record}",
            scene.name(pid)
        ))
        .fix(format!("end pid {pid} (kill {pid}), then `exai start`")),
        (true, Some(pid), _) => CheckOutcome::pass(format!("{} holds instance.lock", scene.name(pid))),
        (true, None, _) => CheckOutcome::pass("instance.lock is held; the system does not say by whom"),
    }
}

fn answers_as(scene: &Scene, holder: u32) -> bool {
    matches!(&scene.view, View::Answers { pid, .. } if *pid == holder)
}

/// The outcome of a check that needs the daemon's process, where that is in another pid namespace.
pub(super) fn elsewhere() -> CheckOutcome {
    CheckOutcome::skip(
        "the daemon answers, and lives in another process namespace than this program (one of both is in a container): its \
         process cannot be looked at from here; run `exai doctor` where the daemon runs",
    )
}

pub(super) fn identity(scene: &Scene) -> CheckOutcome {
    if scene.is_elsewhere() {
        return elsewhere();
    }
    let record = match &scene.record {
        Record::Missing if scene.daemon_lives() => {
            return CheckOutcome::warn(
                "a daemon lives and there is no daemon.json: it is starting, or somebody removed the file",
            )
            .fix("look again in a second; if it stays, see `daemon-answers`");
        }
        Record::Missing => {
            return CheckOutcome::skip("there is no daemon.json: no daemon runs, or none was killed");
        }
        Record::Broken(why) => return CheckOutcome::skip(format!("daemon.json says nothing: {why}")),
        Record::Found(record) => record,
    };
    let pid = record.identity.pid;
    if process_lives(&record.identity) {
        return if scene.daemon_lives() {
            CheckOutcome::pass(format!(
                "pid {pid} is the process that wrote daemon.json: boot, pid and start time agree"
            ))
        } else {
            CheckOutcome::warn(format!(
                "daemon.json names a living process (pid {pid}) that does not hold this directory's lock: it is a copy from \
                 another instance, and redirects nothing"
            ))
            .fix("exai start")
        };
    }
    let outcome = CheckOutcome::warn(format!(
        "daemon.json is stale: {}; nothing was or will be signalled",
        now(record, scene)
    ));
    outcome.fix(if scene.daemon_lives() { "see `daemon-answers`" } else { "exai start" })
}

/// What happened to the process in a record.
fn now(record: &DaemonRecord, scene: &Scene) -> String {
    let pid = record.identity.pid;
    match process::identify(pid).ok().flatten() {
        None => format!("the daemon it names (pid {pid}) has ended without removing it"),
        Some(found) if found.boot != record.identity.boot => {
            format!(
                "it was written before the machine was started anew, and pid {pid} is {} now",
                what(pid, scene)
            )
        }
        Some(_) => format!("pid {pid} is another process now, {}, with another start time", what(pid, scene)),
    }
}

fn what(pid: u32, scene: &Scene) -> String {
    scene.process(pid).map_or_else(|| "unknown".to_owned(), |process| process.name.clone())
}

pub(super) fn answers(scene: &Scene) -> CheckOutcome {
    match &scene.view {
        View::Answers { status: Ok(_), took, .. } => {
            CheckOutcome::pass(format!("it answered hello after {} ms", took.as_millis()))
        }
        View::Answers { status: Err(why), pid, .. } => {
            CheckOutcome::fail(format!("it said hello (pid {pid}) and not how it is: {why}"))
                .fix("exai restart")
        }
        View::Refuses { why, .. } => {
            CheckOutcome::fail(format!("it does not serve this program: {why}")).fix("exai restart")
        }
        View::Wedged { pid, .. } if inspect::is_halted(*pid).unwrap_or(false) => CheckOutcome::fail(format!(
            "it is halted (pid {pid}): a signal or a debugger stopped it, and it holds the lock"
        ))
        .fix(format!("kill -CONT {pid} lets it go on; `exai restart` replaces it")),
        View::Wedged { pid, why } => CheckOutcome::fail(format!(
            "it lives (pid {pid}), holds the lock, and left a hello unanswered for 2 s: {why}"
        ))
        .fix("exai restart"),
        View::Starting => lost(scene),
        View::Stopping => CheckOutcome::warn("it is stopping: it holds the lock and listens no more")
            .fix("look again in a few seconds"),
        View::Stale | View::None => CheckOutcome::skip(NO_DAEMON),
        View::Unseen(why) => {
            CheckOutcome::fail(format!("it cannot be found out whether a daemon runs: {why}"))
                .fix("see `daemon-lock` and `state-dir`")
        }
    }
}

/// A process holds the lock, and no record leads to it: it is starting, or its record was damaged.
fn lost(scene: &Scene) -> CheckOutcome {
    let age = scene.holder.and_then(|pid| scene.age(pid));
    match (scene.holder, age) {
        (Some(pid), Some(age)) if age > exai_client::limits::START_TIMEOUT => CheckOutcome::fail(format!(
            "{} holds the lock since {}, and daemon.json does not lead to it: the file was removed or damaged",
            scene.name(pid),
            crate::time_span::span(age)
        ))
        .fix(format!("kill {pid} ends it in an orderly way; then `exai start`")),
        _ => CheckOutcome::warn("it holds the lock and has not said yet where it listens: it is starting, or daemon.json was damaged")
            .fix("look again in a few seconds"),
    }
}

pub(super) fn version_skew(scene: &Scene) -> CheckOutcome {
    let ours = exai_os::build::version();
    let (pid, build) = match &scene.view {
        View::Answers { pid, build, .. } => (*pid, build),
        View::Refuses { skew: true, why } => return CheckOutcome::fail(why.clone()).fix("exai restart"),
        _ => return CheckOutcome::skip("needs a daemon that answers"),
    };
    if build != ours {
        return CheckOutcome::warn(format!("the daemon is exai {build}, this program is exai {ours}"))
            .fix("exai restart");
    }
    let path = process::executable(pid).map(|path| path.display().to_string()).unwrap_or_default();
    match inspect::program_file(pid) {
        Ok(ProgramFile::Replaced) => {
            let detail = format!("{path} was replaced since the daemon was started from it");
            CheckOutcome::warn(detail).fix("exai restart")
        }
        Ok(ProgramFile::Deleted) => {
            let detail =
                format!("{path}, which the daemon runs, was deleted; it cannot be started from there again");
            CheckOutcome::warn(detail).fix("install exai again, then `exai restart`")
        }
        Ok(ProgramFile::Same) => {
            CheckOutcome::pass(format!("daemon and command line are exai {ours}; the daemon runs {path}"))
        }
        Err(_) => CheckOutcome::pass(format!("daemon and command line are exai {ours}")),
    }
}

/// The findings of the daemon itself. The port and limits have checks of their own.
pub(super) fn findings(scene: &Scene) -> CheckOutcome {
    let Some(status) = scene.status() else { return CheckOutcome::skip("needs a daemon that answers") };
    let others =
        || status.findings.iter().filter(|finding| finding.id != "port-held" && finding.id != "low-limits");
    if others().next().is_none() {
        return CheckOutcome::pass("the daemon has nothing to report");
    }
    let details: Vec<String> =
        others().map(|finding| format!("{}: {}", finding.id, finding.detail)).collect();
    let mut fixes: Vec<String> = others().filter_map(|finding| finding.fix.clone()).collect();
    fixes.dedup();
    if others().all(|finding| finding.severity == "info") {
        return CheckOutcome::pass(listed(&details));
    }
    let outcome = CheckOutcome::warn(listed(&details));
    if fixes.is_empty() { outcome } else { outcome.fix(listed(&fixes)) }
}
