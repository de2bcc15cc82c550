//! The root of a tree exists before its program runs, so that the starter can record the root's identity first.

use std::path::Path;

use exai_os::descent_tag::DescentTag;
use exai_os::process::{Identity, Kill, executable, identify, kill_verified};
use exai_os::tree::{Guard, KillScope, Launch};
use exai_test::{eventually, program};

use crate::support::LIMIT;

fn launch(script: &str, folder: &Path) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: std::env::vars_os().collect(),
        cwd: folder.to_owned(),
        kill_scope: KillScope::Descendants,
        descent_tag: DescentTag::new("test", &folder.display().to_string(), KillScope::Descendants),
        guard: Guard {
            program: program("exai"),
            args: ["guard", "test", "fix#1"].map(Into::into).to_vec(),
            env: Vec::new(),
        },
    }
}

fn lives(identity: &Identity) -> bool {
    identify(identity.pid).unwrap().as_ref() == Some(identity)
}

#[tokio::test]
async fn a_root_runs_its_program_only_when_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let mut seen = None;
    let launch = launch("touch made; exec sleep 60", folder.path());
    let (mut tree, _streams) = exai_os::tree::start(&launch, |guard, root| {
        assert!(lives(root) && guard.is_some_and(lives));
        assert_eq!(executable(root.pid).unwrap(), program("exai"), "it is a copy of its guard still");
        assert!(!made.exists());
        seen = Some(root.clone());
    })
    .unwrap();
    assert_eq!(seen.as_ref(), Some(tree.root()));
    eventually("the program runs", LIMIT, || made.exists());
    tree.kill();
    assert!(tree.ended(&[]).await.is_empty());
    assert!(!lives(tree.root()));
}

#[tokio::test]
async fn a_guard_that_is_killed_while_its_root_waits_leaves_a_tree_that_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch("exec sleep 60", folder.path());
    let kill_the_guard = |guard: Option<&Identity>, _root: &Identity| {
        kill_verified(guard.unwrap(), Kill::Force).unwrap();
    };
    let (mut tree, _streams) = exai_os::tree::start(&launch, kill_the_guard).unwrap();
    tree.unguarded().await;
    let root = tree.root().clone();
    eventually("the program runs", LIMIT, || executable(root.pid).is_ok_and(|exe| exe != program("exai")));
    tree.kill();
    assert!(tree.ended(&[]).await.is_empty());
    assert!(!lives(&root));
}
