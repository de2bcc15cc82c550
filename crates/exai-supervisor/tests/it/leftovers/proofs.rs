//! All processes that are proven to be leftovers are ended, in time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use exai_os::descent_tag::DescentTag;
use exai_os::process::{Identity, identify};
use exai_supervisor::leftovers::{self, CleanupOutcome, LeftProcess, Living};
use exai_supervisor::record::{Containment, TreeRole};

use super::scene::{Scene, Sleeper, about, assert_ended, assert_left, lives, recorded, tidy};

#[test]
fn a_recorded_process_and_its_children_are_ended_and_the_record_goes() {
    let scene = Scene::new();
    let root = Sleeper::with_children(2, "sleep 60 & sleep 60 & trap '' TERM; wait; wait; sleep 60");
    let children = root.children(2);
    let file = scene.write(&scene.record("everything#1", vec![recorded(&root.identity, TreeRole::Root)]));
    let found = scene.find();
    assert_eq!(found.trees[0].processes.len(), 3);
    assert!(root.lives() && file.exists(), "looking changes nothing");
    let (found, took) = scene.end();
    assert_ended(&found, &root.identity, "equals the record of everything#1");
    for child in &children {
        assert_ended(&found, child, "descends from pid");
    }
    assert_eq!(found.trees[0].file.as_ref().expect("a file").outcome, Some(CleanupOutcome::Removed));
    assert!(!file.exists() && scene.find().is_empty());
    assert!(found.freed_bytes() > 100_000);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_tree_that_grows_while_it_is_ended_ends() {
    let scene = Scene::new();
    let script = "trap '' TERM; while :; do (sleep 60 & sleep 60) & sleep 0.005; done";
    let record = scene.record("everything#1", Vec::new());
    let root = Sleeper::with_descent_tag(script, &record, &scene.env_marker(1)).expect("bash");
    scene.write(&scene.record("everything#1", vec![recorded(&root.identity, TreeRole::Root)]));
    exai_test::eventually("it has grown", Duration::from_secs(5), || {
        scene.find().trees[0].processes.len() > 10
    });
    let (found, took) = scene.end();
    assert!(found.trees[0].processes.iter().all(LeftProcess::is_ours));
    assert!(found.trees[0].processes.iter().all(|process| !lives(&process.identity)));
    assert_eq!(crate::support::living(&root.identity), 0);
    assert!(scene.find().is_empty());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn who_has_the_descent_tag_is_ours_whatever_it_has_left_and_who_only_names_the_tree_is_told() {
    let scene = Scene::new();
    let mark = scene.env_marker(1);
    let record = scene.record("everything#1", Vec::new());
    // The first child is a plain member, the second has left parent, group and environment, and the third has removed
    // its descent tag.
    let script = "sleep 60 & setsid env -i sleep 60 <&- >&- 2>&- & \
                  (ulimit -S -x unlimited; exec sleep 60) & wait";
    let mut root = Sleeper::with_descent_tag(script, &record, &mark).expect("bash");
    let children = root.children(3);
    let descent_tag =
        |child: &Identity| DescentTag::of(child.pid).expect("its limits") == Some(record.descent_tag());
    exai_test::eventually("they have done so", Duration::from_secs(5), || {
        children.iter().filter(|child| descent_tag(child)).count() == 2
    });
    let ours: Vec<bool> = children.iter().map(descent_tag).collect();
    root.end();
    let copied = Sleeper::with_env_marker(Some(&mark));
    let file = scene.write(&record);
    let (found, _) = scene.end();
    for (child, ours) in children.iter().zip(ours) {
        if ours {
            assert_ended(&found, child, "it has inherited the descent tag of everything#1");
        } else {
            assert_left(&found, child, "nothing else proves it");
            tidy(child);
        }
    }
    assert_left(&found, &copied.identity, "nothing else proves it");
    // The record stays because the origin of some processes could not be proven.
    assert!(file.exists());
    drop(copied);
    exai_test::eventually("they are gone", Duration::from_secs(5), || !children.iter().any(lives));
    let (found, _) = scene.end();
    assert!(found.trees[0].processes.is_empty() && !file.exists(), "{found:?}");
}

#[test]
fn with_group_containment_what_left_the_group_stays() {
    let scene = Scene::new();
    let mark = scene.env_marker(1);
    let root = Sleeper::shell("sleep 60 & setsid sleep 60 & wait", Some(&mark)).expect("sh");
    let children = root.children(2);
    exai_test::eventually("one has left", Duration::from_secs(5), || {
        crate::support::living(&root.identity) == 2
    });
    let (member, leaver): (Vec<_>, Vec<_>) =
        children.iter().partition(|child| crate::support::in_group(root.pid(), child.pid));
    let mut processes = vec![recorded(&root.identity, TreeRole::Root)];
    processes.extend(children.iter().map(|child| recorded(child, TreeRole::Member)));
    let record = scene.record("everything#1", processes);
    let file =
        scene.write(&exai_supervisor::record::TreeRecord { containment: Containment::Group, ..record });
    let (found, _) = scene.end();
    assert_ended(&found, member[0], "record");
    assert!(lives(leaver[0]) && about(&found, leaver[0]).is_none());
    assert!(!file.exists());
    tidy(leaver[0]);
}

/// A pipe in the directory of the scene.
fn make_pipe(scene: &Scene) -> PathBuf {
    let pipe = scene.dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    pipe
}

/// A program named `exai` that runs a script named `guard`, so that the process table shows a guard.
fn guard(scene: &Scene, program: &str, nonce: &str, id: &str, script: &str) -> Sleeper {
    let dir = tempfile::tempdir_in(scene.dir.path()).expect("a directory").keep();
    std::fs::write(dir.join("guard"), script).expect("a script");
    std::fs::copy("/bin/sh", dir.join(program)).expect("a copy of sh");
    let line = format!("cd '{}' && exec ./{program} guard {nonce} '{id}'", dir.display());
    let guard = Sleeper::shell(&line, None).expect("sh");
    // `setsid` and `sh`, which come before it, have other arguments.
    exai_test::eventually("it runs", Duration::from_secs(5), || {
        let line = exai_os::process::command_line(guard.pid());
        line.is_ok_and(|line| line.get(1).is_some_and(|word| word == "guard"))
    });
    guard
}

#[test]
fn a_guard_at_work_is_left_to_it_and_one_that_hangs_is_ended_last() {
    let scene = Scene::new();
    let id = "everything#1";
    let pipe = make_pipe(&scene);
    let script = format!("read none < '{}'; sleep 0.3", pipe.display());
    let quick = guard(&scene, "exai", &scene.nonce, id, &script);
    let other_program = guard(&scene, "other", &scene.nonce, id, "sleep 60; :");
    let other_daemon = guard(&scene, "exai", "fedcba9876543210", id, "sleep 60; :");
    let other_tree = guard(&scene, "exai", &scene.nonce, "everything#2", "sleep 60; :");
    let decoys = [&other_program, &other_daemon, &other_tree];
    // A record without processes: the daemon seems to have died before it started anything.
    scene.write(&scene.record(id, Vec::new()));
    let mut found = scene.find();
    assert_eq!(found.trees[0].guard().map(|guard| guard.identity.pid), Some(quick.pid()));
    // From now on it works for a moment.
    std::fs::write(&pipe, "\n").expect("it reads");
    let start = std::time::Instant::now();
    leftovers::end(&mut found, start + Duration::from_secs(10));
    let took = start.elapsed();
    assert_eq!(
        about(&found, &quick.identity).and_then(|guard| guard.outcome.clone()),
        Some(CleanupOutcome::Gone)
    );
    assert!(took < Duration::from_secs(1), "{took:?}");

    let hung = guard(&scene, "exai", &scene.nonce, id, "trap '' TERM; while :; do sleep 60; done");
    let child = hung.children(1).remove(0);
    scene.write(&scene.record(id, Vec::new()));
    let (found, took) = scene.end();
    assert_ended(&found, &hung.identity, "arguments");
    assert_ended(&found, &child, "descends");
    assert!((5.0..8.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(decoys.iter().all(|decoy| decoy.lives()));
    assert!(decoys.iter().all(|decoy| about(&found, &decoy.identity).is_none()));
}

/// The copy only forks and executes no other program, so its arguments are those of the guard.
#[test]
fn a_copy_of_a_guard_is_not_another_one() {
    let scene = Scene::new();
    let id = "everything#1";
    let pipe = make_pipe(&scene);
    let guard =
        guard(&scene, "exai", &scene.nonce, id, &format!("(read none < '{}') & wait", pipe.display()));
    let mut copy = None;
    exai_test::eventually("it has forked", Duration::from_secs(5), || {
        let all = exai_os::process::snapshot().expect("the process table");
        let child = all.iter().find(|row| row.ppid == guard.pid());
        copy = child.and_then(|row| exai_os::process::identify(row.pid).ok().flatten());
        copy.is_some()
    });
    let copy = copy.expect("it was seen");
    scene.write(&scene.record(id, Vec::new()));
    // Chance decides which of the two processes is seen first, so the test looks twenty times.
    for _ in 0..20 {
        let found = scene.find();
        assert_eq!(found.trees[0].guard().map(|guard| guard.identity.pid), Some(guard.pid()));
        let place = about(&found, &copy).and_then(|copy| copy.place);
        assert_eq!(place, Some(TreeRole::Root));
    }
    tidy(&copy);
}

#[test]
fn the_living_are_none_of_our_business() {
    let scene = Scene::new();
    let server = Sleeper::sleep();
    let mut record = scene.record("everything#1", vec![recorded(&server.identity, TreeRole::Root)]);
    let living = |instance: &str| Living { instance: instance.to_owned(), pid: std::process::id() };
    scene.write(&record);
    let found = leftovers::find(&scene.servers(), Some(&living(&scene.nonce)), None).expect("a look");
    assert!(found.is_empty(), "it is the living daemon's own");
    // Now the record belongs to another daemon, whose process lives.
    record.daemon = exai_os::process::current().expect("this process");
    scene.write(&record);
    let found = leftovers::find(&scene.servers(), Some(&living("another")), None).expect("a look");
    assert!(found.is_empty(), "its daemon lives");
    assert_eq!(found.others, [record.daemon], "that is told: it may be ending");
    assert!(scene.end().0.is_empty() && server.lives());
}

#[test]
fn a_daemon_that_was_started_within_a_tree_is_spared() {
    let scene = Scene::new();
    let root = Sleeper::with_children(1, "sleep 60 & wait");
    let daemon = root.children(1).remove(0);
    scene.write(&scene.record("everything#1", vec![recorded(&root.identity, TreeRole::Root)]));
    let living = Living { instance: "another".to_owned(), pid: daemon.pid };
    let mut found = leftovers::find(&scene.servers(), Some(&living), None).expect("a look");
    leftovers::end(&mut found, std::time::Instant::now() + Duration::from_secs(5));
    assert_ended(&found, &root.identity, "record");
    assert_left(&found, &daemon, "it is the daemon that runs");
    tidy(&daemon);
}

#[test]
fn a_record_of_an_earlier_boot_is_only_a_file() {
    let scene = Scene::new();
    let server = Sleeper::with_env_marker(Some(&scene.env_marker(1)));
    let mut record = scene.record("everything#1", vec![recorded(&server.identity, TreeRole::Root)]);
    record.daemon.boot = "another".to_owned();
    let file = scene.write(&record);
    let (found, took) = scene.end();
    assert!(
        found.trees[0].processes.is_empty()
            && found.trees[0].file.as_ref().expect("a file").reason.contains("earlier boot")
    );
    assert!(!file.exists() && server.lives());
    eprintln!("a record of an earlier boot is gone after {took:.2?}, the process that it names lives");
}

#[test]
fn an_empty_directory_costs_next_to_nothing() {
    let scene = Scene::new();
    // Other load on the machine makes a look slower but never faster, so one fast look is enough.
    exai_test::eventually("a look within 2 ms", crate::support::LIMIT, || {
        let start = std::time::Instant::now();
        assert!(scene.end().0.is_empty());
        start.elapsed() < Duration::from_millis(2)
    });
    assert!(leftovers::find(&scene.servers().join("none"), None, None).expect("a look").is_empty());
}

#[test]
fn another_accounts_process_is_left_alone() {
    let scene = Scene::new();
    // Only root can start a process of another account.
    let Some(other) = Sleeper::start("setpriv", &["--reuid=65534", "--clear-groups", "sleep", "60"], None)
    else {
        return;
    };
    let name = || Command::new("ps").args(["-o", "comm=", "-p", &other.pid().to_string()]).output();
    exai_test::eventually("it runs", Duration::from_secs(5), || {
        !other.lives() || name().is_ok_and(|output| output.stdout.starts_with(b"sleep"))
    });
    if !other.lives() || exai_os::ownership::process_is_ours(other.pid()).unwrap_or(true) {
        return;
    }
    let file = scene.write(&scene.record("everything#1", vec![recorded(&other.identity, TreeRole::Root)]));
    let (found, _) = scene.end();
    assert_left(&found, &other.identity, "belongs to another account");
    assert!(file.exists(), "what it names lives");
    assert!(identify(other.pid()).expect("the process table").is_some());
}
