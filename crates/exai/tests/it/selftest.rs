//! The self-test passes here, leaves nothing behind, and names the problem where there is one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use exai_os::process::{self, Identity, Kill};
use exai_test::{eventually, program};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LIMIT, text};

const IDS: [&str; 7] = [
    "single-daemon",
    "two-processes-one-server",
    "multiple-clients",
    "not-connected",
    "restart",
    "cleanup",
    "truth",
];

/// A folder for the private directories of the self-test, and a state directory that it must not touch.
struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("tmp")).expect("a directory");
        Scene { dir }
    }

    fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    fn selftest(&self, args: &[&str], tmp: &Path) -> Command {
        let mut command = Command::new(program("exai"));
        command.arg("selftest").args(args).stdin(Stdio::null());
        // Unix reads the first of these variables, Windows the others.
        command.envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, tmp)));
        command.env("EXAI_HOME", self.dir.path().join("home"));
        command
    }

    fn run(&self, args: &[&str], tmp: &Path) -> Output {
        self.selftest(args, tmp).output().expect("exai runs")
    }

    /// The leftover files, and the leftover processes that were started for this scene.
    fn left(&self) -> (Vec<PathBuf>, Vec<Identity>) {
        let files = std::fs::read_dir(self.tmp()).expect("the directory").flatten().map(|file| file.path());
        (files.collect(), self.processes())
    }

    /// The processes whose state directory is in the folder of this scene.
    fn processes(&self) -> Vec<Identity> {
        let table = process::snapshot().expect("the process table");
        let is_here = |pid: u32| {
            let home = exai_os::process_facts::environment_variable(pid, "EXAI_HOME").ok().flatten();
            home.is_some_and(|home| Path::new(&home).starts_with(self.dir.path()))
        };
        let pids = table.iter().filter(|one| !one.zombie && is_here(one.pid)).map(|one| one.pid);
        pids.filter_map(|pid| process::identify(pid).ok().flatten()).collect()
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        let (files, processes) = self.left();
        assert!(files.is_empty() && processes.is_empty(), "left: {files:?} {processes:?}");
        assert!(!self.dir.path().join("home").exists(), "the state directory of the caller is not touched");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for identity in self.processes() {
            // The process may have ended by itself.
            let _ = process::kill_verified(&identity, Kill::Force);
        }
    }
}

#[track_caller]
fn document(output: &Output) -> Value {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\nstdout: {out}\nstderr: {err}"))
}

fn ids(document: &Value) -> Vec<&str> {
    let cases = document["cases"].as_array().expect("cases");
    cases.iter().filter_map(|case| case["id"].as_str()).collect()
}

#[test]
fn every_case_passes_and_nothing_is_left_behind() {
    let scene = Scene::new();
    let output = scene.run(&["--json"], &scene.tmp());
    let document = document(&output);
    assert_eq!((&document["schema"], &document["ok"]), (&json!(1), &json!(true)), "{document:#}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(ids(&document), IDS);
    for case in document["cases"].as_array().into_iter().flatten() {
        assert!(
            case["ok"] == true && case["detail"].as_str().is_some_and(|detail| detail.len() > 20),
            "{case}"
        );
    }
    scene.nothing_is_left();
}

#[test]
fn what_does_not_work_is_a_failing_case_and_a_sentence() {
    let scene = Scene::new();
    let file = scene.dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let output = scene.run(&["--json"], &file);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let document = document(&output);
    assert_eq!((&document["ok"], ids(&document)), (&json!(false), IDS.to_vec()));
    for case in document["cases"].as_array().into_iter().flatten() {
        assert!(
            case["ok"] == false && case["detail"].as_str().is_some_and(|why| why.contains("exai-selftest-")),
            "{case}"
        );
    }
    let output = scene.run(&[], &file);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    let verdict = said.lines().find(|line| line.starts_with("exai ")).unwrap_or_default();
    assert!(
        verdict.starts_with("exai does not work as it should on this machine: 0 of 7 cases passed"),
        "{said}"
    );
    assert_eq!(said.lines().filter(|line| line.starts_with("FAIL")).count(), IDS.len());
    scene.nothing_is_left();
}

/// The daemons of the self-test are grandchildren in sessions of their own. They must end all the same.
#[test]
fn a_termination_in_the_middle_ends_everything_that_was_started() {
    let scene = Scene::new();
    let mut command = scene.selftest(&[], &scene.tmp());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("exai runs");
    // At least the self-test itself, a daemon and a guard.
    eventually("its processes run", LIMIT, || scene.processes().len() > 3);
    let identity = process::identify(child.id()).expect("the process table").expect("it lives");
    process::kill_verified(&identity, Kill::Terminate).expect("it can be asked to end");
    let told = Instant::now();
    eventually("it ends", LIMIT, || child.try_wait().expect("it can be waited for").is_some());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    scene.nothing_is_left();
}
