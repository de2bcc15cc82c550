//! Places where a test makes a process stumble, in debug builds only.
//!
//! `EXAI_FAILPOINTS="daemon.locked=kill;starter.spawned=delay:500"` says what happens where. In a release
//! build the variable is not even read.

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use crate::sys;

/// The variable. A starter passes it on to its daemon.
pub const VARIABLE: &str = "EXAI_FAILPOINTS";
/// Whether this build has such places at all.
pub const ACTIVE: bool = cfg!(debug_assertions);

/// Every place, in the order in which a start and a stop pass them.
pub const NAMES: [&str; 19] = [
    "starter.locked",      // holds spawn.lock
    "starter.spawning",    // is about to start the daemon
    "starter.spawned",     // has started it and heard nothing yet
    "daemon.job",          // an error here: this process is in a job that ends everything in it
    "daemon.begun",        // has done nothing yet
    "daemon.locked",       // holds instance.lock
    "daemon.claim",        // an error here: this system has no second authority
    "daemon.claimed",      // holds both
    "daemon.bound",        // listens
    "daemon.recording",    // is about to write daemon.json
    "daemon.recorded",     // has written it and not said that it is ready
    "daemon.ready",        // has said so
    "starter.heard",       // knows that the daemon is ready and has not connected
    "stopper.asked",       // has asked the daemon to end
    "daemon.stop-asked",   // has heard that
    "daemon.stopping",     // is about to stop its servers
    "stopper.waiting",     // knows that it ends and waits for that
    "daemon.servers-gone", // has no client and no server any more
    "daemon.record-gone",  // has removed daemon.json
];

/// Places that belong to no start or stop.
pub const OTHERS: [&str; 5] = [
    "watch.looking",    // looks at the processes of a tree
    "import.announced", // has recorded what is about to be imported
    "import.written",   // has written it, and not recorded that
    "change.recorded",  // has recorded the change of a client's file
    "change.written",   // has changed the file
];

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Kill,
    Hang,
    Error,
    Delay(Duration),
}

/// Passes the place `name`. Does nothing unless the variable says so; an error names the place.
pub fn reach(name: &'static str) -> io::Result<()> {
    if !ACTIVE {
        return Ok(());
    }
    debug_assert!(
        NAMES.contains(&name) || OTHERS.contains(&name),
        "BUG: {name} is not in the list of places"
    );
    let Some(act) = act_at(name, plan()) else { return Ok(()) };
    // For a test that waits until this place is passed. The test may have closed the other end.
    let _ = writeln!(io::stderr(), "failpoint {name} ({act:?}) in pid {}", std::process::id());
    match act {
        Act::Kill => sys::signal::end_this_process(),
        Act::Hang => std::thread::sleep(Duration::from_hours(1)),
        Act::Delay(length) => std::thread::sleep(length),
        Act::Error => return Err(io::Error::other(format!("failpoint {name}"))),
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "no setting of the product: a release build does not know it")]
fn plan() -> &'static str {
    static PLAN: OnceLock<String> = OnceLock::new();
    PLAN.get_or_init(|| std::env::var(VARIABLE).unwrap_or_default())
}

/// What the plan says about a place. Unknown words are ignored.
fn act_at(name: &str, plan: &str) -> Option<Act> {
    let (_, act) =
        plan.split(';').filter_map(|part| part.trim().split_once('=')).find(|(at, _)| *at == name)?;
    match act.split_once(':') {
        None if act == "kill" => Some(Act::Kill),
        None if act == "hang" => Some(Act::Hang),
        None if act == "error" => Some(Act::Error),
        Some(("delay", length)) => length.parse().ok().map(Duration::from_millis).map(Act::Delay),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_happens_where() {
        let plan = "daemon.locked=kill; daemon.bound=delay:20;starter.heard=error;daemon.ready=dance;x";
        assert_eq!(act_at("daemon.locked", plan), Some(Act::Kill));
        assert_eq!(act_at("daemon.bound", plan), Some(Act::Delay(Duration::from_millis(20))));
        assert_eq!(act_at("starter.heard", plan), Some(Act::Error));
        assert_eq!(act_at("daemon.ready", plan), None);
        assert_eq!(act_at("daemon.claimed", plan), None);
        assert_eq!(act_at("x", plan), None);
    }

    #[test]
    fn without_a_plan_nothing_happens() {
        for name in NAMES {
            reach(name).unwrap();
        }
    }
}
