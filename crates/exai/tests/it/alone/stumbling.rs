//! A kill, a hang or a failure at every step of a start and of a stop.

use std::fs::File;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use exai_os::failpoint::{NAMES, VARIABLE};
use exai_test::eventually;

use super::{SECOND, comes_and_goes, daemons, end, look, nothing_is_left, processes, state};
use crate::support::{Instance, LIMIT};

/// Whether a place belongs to a stop. All other places belong to a start.
fn stops(place: &str) -> bool {
    matches!(
        place,
        "stopper.asked"
            | "stopper.waiting"
            | "daemon.stop-asked"
            | "daemon.stopping"
            | "daemon.servers-gone"
            | "daemon.record-gone"
    )
}

/// A command that stumbles at a place, and the instance that it leaves behind.
struct Stumble {
    instance: Instance,
    place: &'static str,
    what: String,
    child: Child,
}

impl Stumble {
    fn begin(place: &'static str, act: &str) -> Self {
        let instance = Instance::new("");
        let plan = format!("{place}={act}");
        let what = plan.clone();
        let run = |args: &[&str], plan: &str| {
            let said = File::create(instance.dir().join("said")).expect("a file");
            let mut command = instance.command(args);
            command.env(VARIABLE, plan).stdout(Stdio::null()).stderr(said);
            command.spawn().expect("it starts")
        };
        let child = if stops(place) {
            // The environment decides where a process stumbles: that of the daemon or that of the stopper.
            let daemons = if place.starts_with("daemon.") { &*plan } else { "" };
            assert!(run(&["start"], daemons).wait().expect("it ends").success(), "{what}");
            run(&["stop", "--timeout", "1"], &plan)
        } else {
            run(&["start"], &plan)
        };
        let stumble = Stumble { instance, place, what, child };
        eventually(&format!("{}: somebody comes by", stumble.what), LIMIT, || stumble.was_there());
        stumble
    }

    /// Whether a process has reached the place. The starter says so on stderr, the daemon in its log.
    fn was_there(&self) -> bool {
        let log = std::fs::read_to_string(self.instance.home().join("log/daemon.log")).unwrap_or_default();
        (log + &self.said()).contains(&format!("failpoint {} (", self.place))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.instance.dir().join("said")).unwrap_or_default()
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// Waits until `status` agrees with the process list.
    fn the_truth_is_told(&self) {
        eventually(&format!("{}: status and processes agree", self.what), SECOND * 5, || {
            matches!(
                (&*state(&self.instance), daemons(&self.instance).len()),
                ("running", 1) | ("stopped" | "stale", 0)
            )
        });
    }
}

/// Stumbles at every place, at several places at the same time, and prints how long that took.
fn everywhere(act: &'static str, at_once: usize, check: fn(Stumble)) {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(place) = NAMES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(Stumble::begin(place, act));
                }
            });
        }
    });
    eprintln!("{act} at each of {} places: {:.1?}", NAMES.len(), begun.elapsed());
}

/// The commands wait most of the time, so all of them run at once. Under Wine each look at one of many takes long.
const HANG_AT_ONCE: usize = if cfg!(windows) { 10 } else { NAMES.len() };

/// The words of `status` about the daemon with this pid. Windows does not say which process holds the lock.
fn holds_the_lock(pid: u32) -> String {
    if cfg!(windows) { "it holds the lock".to_owned() } else { format!("pid {pid} holds the lock") }
}

/// Whether a process has ended as if by `kill`.
fn was_killed(code: Option<i32>) -> bool {
    // Windows gives every end a code. STATUS_STACK_BUFFER_OVERRUN is the code of an abort.
    code.is_none() || cfg!(windows) && code == Some(0xC000_0409_u32.cast_signed())
}

#[test]
fn killed_at_any_step_leaves_nothing_that_is_in_the_way() {
    everywhere("kill", 4, |mut stumble| {
        let code = stumble.code();
        let own = ["starter.", "stopper."].iter().any(|who| stumble.place.starts_with(who));
        if own {
            assert!(was_killed(code), "{} was not killed: {code:?}", stumble.what);
        } else if stops(stumble.place) {
            assert_eq!(
                code,
                Some(0),
                "{}: the daemon is gone, as was asked: {}",
                stumble.what,
                stumble.said()
            );
        } else {
            let sentence = stumble.said();
            assert!(code == Some(1) || stumble.place == "daemon.ready", "{}: {sentence}", stumble.what);
        }
        stumble.the_truth_is_told();
        comes_and_goes(&stumble.instance, &stumble.what);
    });
}

#[test]
fn an_error_at_any_step_is_told_and_leaves_nothing_that_is_in_the_way() {
    everywhere("error", 4, |mut stumble| {
        let (code, said) = (stumble.code(), stumble.said());
        match stumble.place {
            // A daemon goes on after a failure at one of these places.
            "daemon.claim"
            | "daemon.ready"
            | "daemon.stopping"
            | "daemon.servers-gone"
            | "daemon.record-gone" => assert_eq!(code, Some(0), "{}: {said}", stumble.what),
            "daemon.job" => {
                assert_eq!(code, Some(1), "{}: {said}", stumble.what);
                assert!(said.contains("whose job ends everything in it"), "{}: {said}", stumble.what);
            }
            place => {
                assert_eq!(code, Some(1), "{}: {said}", stumble.what);
                assert!(said.contains(&format!("failpoint {place}")), "{}: {said}", stumble.what);
            }
        }
        stumble.the_truth_is_told();
        if stumble.place == "daemon.stop-asked" {
            // This daemon refuses every stop, so the test ends it.
            daemons(&stumble.instance).into_iter().for_each(end);
        }
        comes_and_goes(&stumble.instance, &stumble.what);
    });
}

#[test]
fn hanging_at_any_step_is_named_and_the_next_start_gets_through() {
    everywhere("hang", HANG_AT_ONCE, |mut stumble| {
        let begun = Instant::now();
        match stumble.place {
            "starter.locked" | "starter.spawning" => {
                let refused = stumble.instance.exai(&["start"]);
                let sentence = crate::support::text(&refused.stderr);
                // Windows does not say which process holds the lock.
                let pid =
                    if cfg!(windows) { String::new() } else { format!(" (pid {})", stumble.child.id()) };
                let holder = format!("process{pid} holds");
                assert!(sentence.contains(&holder), "{}: {sentence}", stumble.what);
                assert_eq!(refused.status.code(), Some(1));
                end(stumble.child.id());
            }
            "starter.spawned" | "starter.heard" | "stopper.asked" | "stopper.waiting" => {
                end(stumble.child.id());
            }
            "daemon.ready" => {
                assert_eq!(stumble.code(), Some(1), "{}: {}", stumble.what, stumble.said());
                let status = look(&stumble.instance);
                assert_eq!(status["state"], "wedged", "{status}");
                eventually("the log says that the loop hangs", SECOND * 5, || {
                    let log = stumble.instance.home().join("log/daemon.log");
                    std::fs::read_to_string(log).is_ok_and(|log| log.contains("loop has not answered"))
                });
                stumble.instance.ends(0, &["stop", "--timeout", "0"]);
            }
            place if stops(place) => {
                assert_eq!(stumble.code(), Some(0), "{}: {}", stumble.what, stumble.said());
                nothing_is_left_but_sockets(&stumble.instance, &stumble.what);
            }
            _ => {
                eventually("a daemon that hangs is named", SECOND * 5, || {
                    // A daemon that has not taken the lock yet does not show in `status`.
                    let status = look(&stumble.instance);
                    let pid = daemons(&stumble.instance).first().map(|pid| holds_the_lock(*pid));
                    let named = status["verdict"].as_str().zip(pid).is_some_and(|(verdict, pid)| {
                        status["state"] == "starting" && verdict.contains(&pid)
                            // The daemon's record exists, but the daemon does not answer.
                            || status["state"] == "wedged" && verdict.contains(&pid)
                    });
                    let before = ["daemon.job", "daemon.begun"].contains(&stumble.place);
                    named || before && status["state"] == "stopped"
                });
                assert_eq!(stumble.code(), Some(1), "{}", stumble.what);
                assert!(stumble.said().contains("it hangs while"), "{}: {}", stumble.what, stumble.said());
            }
        }
        let took = begun.elapsed();
        assert!(took < SECOND * 25, "{}: {took:?}", stumble.what);
        stumble.child.wait().expect("it ends");
        stumble.the_truth_is_told();
        comes_and_goes(&stumble.instance, &stumble.what);
    });
}

fn nothing_is_left_but_sockets(instance: &Instance, what: &str) {
    eventually(&format!("{what}: no process is left"), SECOND * 2, || processes(instance).is_empty());
}

#[test]
fn a_daemon_that_hangs_before_its_record_is_ended_by_restart() {
    let stumble = Stumble::begin("daemon.bound", "delay:9000");
    let hanging = daemons(&stumble.instance);
    assert_eq!(hanging.len(), 1);
    // A frozen daemon does not give up by itself.
    super::signal(hanging[0], "STOP");
    end(stumble.child.id());
    let begun = Instant::now();
    stumble.instance.ends(0, &["restart"]);
    eprintln!("restart ends a daemon that hangs in its start: {:.1?}", begun.elapsed());
    assert!(!daemons(&stumble.instance).contains(&hanging[0]));
    stumble.instance.ends(0, &["stop"]);
    nothing_is_left(&stumble.instance, "after restart");
}
