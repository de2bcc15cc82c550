//! Processes that belong to others: servers of other programs, and other daemons.

use std::env::consts::EXE_SUFFIX;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use exai_os::process::{self, Identity, Kill};
use exai_test::eventually;

use super::{Decoy, check, daemon_pid, doctor, finds, stopped};
use crate::support::{Instance, LIMIT};

#[test]
fn a_second_daemon_of_the_same_directory_is_a_problem_and_one_of_another_is_none() {
    let instance = stopped();
    let other = Instance::with_fixture(&[]);
    other.ends(0, &["start"]);
    // The detail names only the first few of the other daemons, and other tests may have started more.
    finds(&instance, "second-daemon", "pass", &["which is fine"]);
    // A daemon that waits for the lock looks just like a second daemon. It is young, and the check says so.
    let held =
        exai_os::lock::try_lock(&instance.home().join("instance.lock")).expect("the file").expect("free");
    let _waiting = Decoy(instance.command(&["serve"]).stderr(Stdio::null()).spawn().expect("it starts"));
    eventually("it is seen", Duration::from_secs(2), || {
        check(&doctor(&instance).0, "second-daemon")["status"] == "warn"
    });
    drop(held);
}

#[test]
fn servers_of_other_programs_are_shown_with_evidence_and_left_alone() {
    let instance = stopped();
    let name = format!("mcp-server-of-test-{}", std::process::id());
    let program = instance.dir().join(format!("{name}{EXE_SUFFIX}"));
    std::fs::copy(exai_test::program("fixture-server"), &program).expect("a program");
    let start = || Decoy(exai_test::asleep(&program).spawn().expect("it starts"));
    let mut copies = [start(), start()];
    let pids = copies.each_ref().map(|copy| copy.0.id().to_string());
    let (document, _) = doctor(&instance);
    let found = check(&document, "foreign-servers");
    assert_eq!(found["status"], "warn");
    let detail = found["detail"].as_str().expect("a sentence");
    assert!(detail.contains(&format!("2 copies of {name}")), "{detail}");
    assert!(pids.iter().all(|pid| detail.contains(pid)), "{detail}");
    for copy in &mut copies {
        assert!(copy.0.try_wait().expect("it can be asked").is_none(), "it lives");
    }
}

/// Starts a sleeper of this name whose starter has ended.
fn orphan(dir: &Path, name: &str) -> Identity {
    let program = dir.join(name);
    std::fs::copy(exai_test::program("fixture-server"), &program).expect("a program");
    let mut shell = if cfg!(windows) {
        let mut shell = Command::new("cmd");
        // `start` takes its first quoted argument as the title of a window.
        shell.args(["/c", "start", "a title", "/b"]).arg(&program).arg("--sleep");
        shell
    } else {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{} --sleep &", program.display())]);
        shell
    };
    let status = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("a shell").success());
    let found = || {
        let all = process::snapshot().expect("the process list");
        let all = all.into_iter().filter_map(|one| process::identify(one.pid).ok()?);
        all.into_iter().find(|one| process::executable(one.pid).is_ok_and(|path| path.ends_with(name)))
    };
    eventually("it runs", LIMIT, || found().is_some());
    found().expect("it lives")
}

#[test]
fn a_server_that_lost_its_starter_is_shown_as_such() {
    let instance = stopped();
    let orphan = orphan(instance.dir(), &format!("orphaned-mcp-{}{EXE_SUFFIX}", std::process::id()));
    let pid = orphan.pid;
    let (document, _) = doctor(&instance);
    let parent = process::ancestors(pid).expect("the process list").first().map(|parent| parent.name.clone());
    let ended = process::kill_verified(&orphan, Kill::Force).expect("it can be killed");
    assert_eq!(ended, process::Killed::Signalled, "doctor left it alone");
    let found = check(&document, "foreign-servers");
    // Under a supervisor that adopts orphans the process has a parent again, which cannot be told from a starter.
    if parent.is_none() {
        assert_eq!(found["status"], "warn");
        let detail = found["detail"].as_str().expect("a sentence");
        assert!(
            detail.contains(&format!("(pid {pid}, age ")) && detail.contains("lost its starter"),
            "{detail}"
        );
    }
}

#[test]
fn a_daemon_that_stays_beside_the_one_with_the_lock_is_a_problem() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    // This daemon never asks for the lock. All that shows is its command line with `serve`.
    let mut command = instance.command(&["serve"]);
    command.env(exai_os::failpoint::VARIABLE, "daemon.begun=hang").stderr(Stdio::null());
    let mut second = Decoy(command.spawn().expect("it starts"));
    let daemon = daemon_pid(&instance).to_string();
    eventually("it is old enough to be no loser of a race", LIMIT, || {
        check(&doctor(&instance).0, "second-daemon")["status"] == "fail"
    });
    finds(&instance, "second-daemon", "fail", &[&format!("(pid {})", second.0.id()), &daemon]);
    assert!(second.0.try_wait().expect("it can be asked").is_none(), "nobody touched it");
}
