//! Hostile records must never lead to the end of a wrong process.

use std::env::consts::EXE_SUFFIX;
use std::time::{Duration, Instant};

use exai_os::process::{Identity, current, identify};
use exai_supervisor::leftovers::Verdict;
use exai_supervisor::record::{Containment, Recorded, TreeRecord, TreeRole};

use super::scene::{Scene, Sleeper, about, assert_ended, assert_left, recorded};

/// Records that give a living process a wrong identity, each in a different way.
fn lies(identity: &Identity) -> Vec<Recorded> {
    let wrong = |change: &dyn Fn(&mut Recorded)| {
        let mut lie = recorded(identity, TreeRole::Member);
        change(&mut lie);
        lie
    };
    vec![
        wrong(&|lie| lie.identity.start -= 1),
        wrong(&|lie| lie.identity.start += 1),
        wrong(&|lie| lie.identity.start = 0),
        wrong(&|lie| lie.identity.start = u64::MAX),
        wrong(&|lie| lie.identity.start += 100_000),
        wrong(&|lie| lie.identity.boot = "another".into()),
        wrong(&|lie| lie.identity.boot.clear()),
        wrong(&|lie| lie.identity.boot.push(' ')),
        wrong(&|lie| lie.identity.boot = lie.identity.boot.to_uppercase() + "-"),
        wrong(&|lie| lie.pid = 1),
        wrong(&|lie| lie.pid = 0),
        wrong(&|lie| lie.pid = u32::MAX),
        wrong(&|lie| (lie.pid, lie.identity.pid) = (u32::MAX, u32::MAX)),
        wrong(&|lie| (lie.pid, lie.identity.pid) = (0, 0)),
    ]
}

#[test]
fn a_thousand_records_that_lie_end_nobody() {
    let scene = Scene::new();
    let named = |name: &str, mark: Option<&str>| Sleeper::named(scene.dir.path(), name, mark);
    let mut decoys = vec![
        Sleeper::sleep(),
        Sleeper::with_env_marker(Some(&scene.env_marker(1))),
        Sleeper::with_env_marker(Some(&scene.nonce)),
        Sleeper::with_env_marker(Some("")),
        named("exai", None),
        named("a b) c", None),
        named("x) R 1 1 1", Some(&scene.env_marker(2))),
    ];
    // Windows has no sessions and no groups.
    if !cfg!(windows) {
        decoys.extend([
            Sleeper::start("setsid", &["sleep", "60"], None).expect("a sleeper"),
            Sleeper::start("setsid", &["sleep", "60"], Some(&scene.env_marker(3))).expect("a sleeper"),
            // The `sleep` of this shell is in the process group of a process that a record names as root.
            Sleeper::shell("sleep 60 & wait", Some(&scene.env_marker(4))).expect("a shell"),
        ]);
    }
    let mut zombie = Sleeper::with_env_marker(Some(&scene.env_marker(5)));
    zombie.make_zombie();
    decoys.push(Sleeper::with_env_marker(Some(&(scene.env_marker(1) + " "))));
    let places = [TreeRole::Guard, TreeRole::Root, TreeRole::Member];
    let mut number = 0;
    for identity in decoys.iter().map(|decoy| &decoy.identity).chain([&zombie.identity]) {
        for lie in lies(identity) {
            for place in places {
                for containment in [Containment::Strict, Containment::Group] {
                    number += 1;
                    let lie = Recorded { place, ..lie.clone() };
                    let record = scene.record(&format!("everything#{number}"), vec![lie]);
                    scene.write(&TreeRecord { containment, ..record });
                }
            }
        }
    }
    assert!(number >= if cfg!(windows) { 750 } else { 1000 }, "{number}");
    let started = Instant::now();
    let (found, _) = scene.end();
    let took = started.elapsed();
    assert_eq!(found.trees.len(), number);
    assert!(decoys.iter().all(Sleeper::lives), "no decoy was ended");
    let all = || found.trees.iter().flat_map(|tree| &tree.processes);
    assert!(all().all(|process| !process.is_ours()));
    let strangers = all().filter(|process| matches!(process.verdict, Verdict::Stranger { .. })).count();
    assert!(strangers > 500, "{strangers} were told from what the record names");
    assert!(about(&found, &zombie.identity).is_none(), "a zombie is gone");
    // All records together take a third of a second on an idle machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn true_identities_of_those_that_must_never_be_ended() {
    let scene = Scene::new();
    let me = current().expect("this process");
    let above = exai_os::process::ancestors(me.pid).expect("ancestors");
    let first = identify(1).expect("the process table");
    let above = above.iter().filter_map(|row| identify(row.pid).ok().flatten());
    let never: Vec<Identity> = first.into_iter().chain(above).chain([me]).collect();
    // A process is not proven to be a leftover because it descends from one of these.
    let decoy = Sleeper::sleep();
    let ours = Sleeper::sleep();
    let mut processes: Vec<Recorded> =
        never.iter().map(|identity| recorded(identity, TreeRole::Root)).collect();
    processes.push(recorded(&ours.identity, TreeRole::Member));
    scene.write(&scene.record("everything#1", processes));
    let (found, _) = scene.end();
    for identity in &never {
        assert_left(&found, identity, "but ");
    }
    assert!(decoy.lives() && about(&found, &decoy.identity).is_none());
    assert_ended(&found, &ours.identity, "record");
}

#[test]
fn a_name_may_hold_anything_and_the_marker_alone_proves_nothing() {
    let scene = Scene::new();
    let odd = Sleeper::named(scene.dir.path(), "a b) c", None);
    let marked = Sleeper::with_env_marker(Some(&scene.env_marker(1)));
    let file = scene.write(&scene.record("everything#1", vec![recorded(&odd.identity, TreeRole::Root)]));
    let (found, took) = scene.end();
    assert_ended(&found, &odd.identity, "record");
    let name = about(&found, &odd.identity).map(|process| process.name.clone());
    assert_eq!(name, Some(format!("a b) c{EXE_SUFFIX}")));
    assert_left(&found, &marked.identity, "nothing else proves it");
    assert!(file.exists(), "it stays as long as there is a doubt");
    assert!(took < Duration::from_secs(2), "{took:?}");
    eprintln!("`a b) c` is known by its record and ended, the sweep took {took:.2?}");
}
