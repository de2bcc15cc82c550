//! Processes of others: servers of other programs, other daemons.

use std::env::consts::EXE_SUFFIX;
use std::process::{Command, Stdio};
use std::time::Duration;

use exai_os::process::{self, Kill};
use exai_test::eventually;

use super::{Decoy, check, daemon_pid, doctor, finds, stopped};
use crate::support::{Instance, LIMIT, text};

#[test]
fn a_second_daemon_of_the_same_directory_is_a_problem_and_one_of_another_is_none() {
    let instance = stopped();
    let other = Instance::with_fixture(&[]);
    other.ends(0, &["start"]);
    // Which one is said of the first few: others may run on this machine.
    finds(&instance, "second-daemon", "pass", &["which is fine"]);
    // One that waits for the lock looks just like a second one; it is young, and that is said.
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

#[test]
fn a_server_that_lost_its_starter_is_shown_as_such() {
    let instance = stopped();
    let program = instance.dir().join(format!("orphaned-mcp-{}", std::process::id()));
    std::fs::copy("/bin/sleep", &program).expect("a program");
    let script = format!("{} 60 >/dev/null 2>&1 & echo $!", program.display());
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let pid: u32 = text(&output.stdout).trim().parse().expect("a pid");
    let orphan = process::identify(pid).expect("the process list").expect("it lives");
    let (document, _) = doctor(&instance);
    let parent = process::ancestors(pid).expect("the process list").first().map(|parent| parent.name.clone());
    let ended = process::kill_verified(&orphan, Kill::Force).expect("it can be killed");
    assert_eq!(ended, process::Killed::Signalled, "doctor left it alone");
    let found = check(&document, "foreign-servers");
    // Under a supervisor of processes of its own it has a starter again, whom nobody can tell from another.
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
    // A program called exai that was told to serve: more is not known of a daemon that does not answer.
    let program = instance.dir().join("exai");
    std::fs::copy("/bin/sh", &program).expect("a program");
    std::fs::write(instance.dir().join("serve"), "read line\n").expect("a script");
    let mut command = Command::new(&program);
    command.arg("serve").current_dir(instance.dir()).env("EXAI_HOME", instance.home()).stdin(Stdio::piped());
    let mut second = Decoy(command.spawn().expect("it starts"));
    let daemon = daemon_pid(&instance).to_string();
    eventually("it is old enough to be no loser of a race", LIMIT, || {
        check(&doctor(&instance).0, "second-daemon")["status"] == "fail"
    });
    finds(&instance, "second-daemon", "fail", &[&format!("(pid {})", second.0.id()), &daemon]);
    assert!(second.0.try_wait().expect("it can be asked").is_none(), "nobody touched it");
}
