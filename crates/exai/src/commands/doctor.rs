//! `exai doctor`: looks at everything that can be wrong, and explains it. It reads and asks; it changes,
//! ends and removes nothing.

mod client_entries;
mod client_files;
mod client_program;
mod client_scene;
mod client_twice;
mod client_use;
mod daemon;
mod files;
mod foreign;
mod outcome;
mod place;
mod port;
mod processes;
mod providers;
mod recognise;
mod scene;
mod second;
mod setup;
mod sign_ins;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use exai_config::Home;
use exai_proto::documents::{Check, CheckStatus, Doctor, SCHEMA};
use exai_proto::exit;

use self::outcome::CheckOutcome;
use self::scene::Scene;
pub(super) use self::setup::invalid as invalid_config;
use super::count;
use crate::cli::JsonArgs;
use crate::error::Error;
use crate::limits::{CHECK_TIMEOUT, SCENE_TIMEOUT};
use crate::printer::{Mark, Printer};

type Run = fn(&Scene) -> CheckOutcome;

/// All checks, in the order they are shown. docs/troubleshooting.md has a section for each.
const CHECKS: [(&str, Run); 29] = [
    ("state-dir", place::state_dir),
    ("files", files::files),
    ("disk", place::disk),
    ("logs", place::logs),
    ("config", setup::config),
    ("commands", setup::commands),
    ("providers", providers::providers),
    ("sign-ins", sign_ins::sign_ins),
    ("environment", setup::environment),
    ("daemon-lock", daemon::lock),
    ("daemon-identity", daemon::identity),
    ("daemon-answers", daemon::answers),
    ("second-daemon", second::second_daemon),
    ("version-skew", daemon::version_skew),
    ("port", port::port),
    ("findings", daemon::findings),
    ("process-count", processes::process_count),
    ("left-behind", processes::left_behind),
    ("foreign-servers", foreign::foreign_servers),
    ("client-files", |scene| scene.check_clients(client_files::files)),
    ("client-copies", |scene| scene.check_clients(client_files::copies)),
    ("client-entry", |scene| scene.check_clients(client_entries::entry)),
    ("client-disabled", |scene| scene.check_clients(client_entries::disabled)),
    ("client-program", |scene| scene.check_clients(client_program::program)),
    ("client-twice", |scene| scene.check_clients(|clients| client_twice::twice(scene, clients))),
    ("client-home", |scene| scene.check_clients(|clients| client_program::home(scene, clients))),
    ("client-connected", |scene| scene.check_clients(|clients| client_use::connected(scene, clients))),
    ("client-tools", |scene| scene.check_clients(|clients| client_use::tools(scene, clients))),
    ("limits", processes::limits),
];

pub(crate) fn run(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    printer.progress("looking…");
    let document = examine();
    printer.clear_progress();
    if args.json {
        printer.json(&document)?;
    } else {
        show(&document, printer)?;
    }
    Ok(if document.ok { exit::DONE } else { exit::FINDINGS })
}

fn examine() -> Doctor {
    let home = Home::locate();
    let mut checks = vec![place::account(home.as_ref().err()).named("account")];
    checks.extend(match home {
        Ok(home) => examine_home(home),
        Err(_) => all_alike(&CheckOutcome::skip("there is no state directory to look at")),
    });
    let ok = checks.iter().all(|check| matches!(check.status, CheckStatus::Pass | CheckStatus::Skip));
    Doctor { schema: SCHEMA, ok, checks }
}

fn examine_home(home: Home) -> Vec<Check> {
    let path = home.path().display().to_string();
    let looking = aside(move || Scene::look(home));
    let Ok(scene) = looking.recv_timeout(SCENE_TIMEOUT).map(Arc::new) else {
        let hangs = format!("{path} did not answer within {} s", SCENE_TIMEOUT.as_secs());
        let hangs = CheckOutcome::fail(hangs).fix("see whether its file system is reachable");
        let mut checks = all_alike(&CheckOutcome::skip("the first look did not come to an end"));
        checks[0] = hangs.named(CHECKS[0].0);
        return checks;
    };
    let deadline = Instant::now() + CHECK_TIMEOUT;
    let begun = CHECKS.map(|(id, run)| {
        let scene = scene.clone();
        (id, aside(move || run(&scene)))
    });
    let finished = begun.map(|(id, outcome)| {
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome = outcome.recv_timeout(left).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => CheckOutcome::warn("this check did not come to an end within 2 s"),
            RecvTimeoutError::Disconnected => CheckOutcome::warn("this check failed in itself"),
        });
        outcome.named(id)
    });
    finished.into()
}

fn all_alike(outcome: &CheckOutcome) -> Vec<Check> {
    CHECKS.map(|(id, _)| outcome.clone().named(id)).into()
}

/// Does something on a thread of its own: the work may hang (a file system that does not answer), and this program
/// must not.
pub(super) fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        // Nobody may wait any more.
        let _ = sender.send(work());
    });
    receiver
}

fn show(document: &Doctor, printer: &Printer) -> Result<(), Error> {
    printer.headline(&format!("exai: {}", verdict(document)))?;
    let order = [CheckStatus::Fail, CheckStatus::Warn, CheckStatus::Pass, CheckStatus::Skip];
    for status in order {
        for check in document.checks.iter().filter(|check| check.status == status) {
            let (mark, word) = match status {
                CheckStatus::Fail => (Mark::Bad, "fail"),
                CheckStatus::Warn => (Mark::Doubtful, "warn"),
                CheckStatus::Pass => (Mark::Good, "ok"),
                CheckStatus::Skip => (Mark::Nothing, "skip"),
            };
            printer.marked(mark, &format!("{word:<5}"), &format!("{:<16} {}", check.id, check.detail))?;
            if let Some(fix) = &check.fix {
                printer.marked(Mark::Hint, "      fix", fix)?;
            }
        }
    }
    if !document.ok {
        printer.faint("docs/troubleshooting.md has a section for each of these names")?;
    }
    Ok(())
}

fn verdict(document: &Doctor) -> String {
    let number = |status| document.checks.iter().filter(|check| check.status == status).count();
    match (number(CheckStatus::Fail), number(CheckStatus::Warn)) {
        (0, 0) => "no problems found".to_owned(),
        (0, warnings) => format!("no problems, {}", count(warnings, "warning")),
        (problems, 0) => count(problems, "problem"),
        (problems, warnings) => format!("{}, {}", count(problems, "problem"), count(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use CheckStatus::{Fail, Pass, Skip, Warn};

    use super::*;

    #[test]
    fn the_verdict_counts() {
        let document = |statuses: &[CheckStatus]| {
            let check = |status: &CheckStatus| Check {
                id: "x".to_owned(),
                status: *status,
                detail: String::new(),
                fix: None,
            };
            Doctor { schema: SCHEMA, ok: false, checks: statuses.iter().map(check).collect() }
        };
        let cases: [(&[CheckStatus], &str); 4] = [
            (&[Pass, Skip], "no problems found"),
            (&[Warn, Pass], "no problems, 1 warning"),
            (&[Fail, Fail, Warn], "2 problems, 1 warning"),
            (&[Fail], "1 problem"),
        ];
        for (statuses, expected) in cases {
            assert_eq!(verdict(&document(statuses)), expected);
        }
    }

    #[test]
    fn a_check_that_hangs_is_left_behind() {
        let hangs = aside(thread::park);
        assert_eq!(hangs.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout));
    }
}
