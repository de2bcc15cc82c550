//! A directory of records, and the processes that the records name.

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exai_os::process::{Identity, Kill, identify, kill_verified, snapshot};
use exai_supervisor::leftovers::{self, CleanupOutcome, LeftProcess, Leftovers, Verdict};
use exai_supervisor::record::{Containment, Recorded, SCHEMA, TreeRecord, TreeRole};
use tempfile::TempDir;

/// A process of a test, which ends when this is dropped.
pub(crate) struct Sleeper {
    child: Child,
    pub(crate) identity: Identity,
}

impl Sleeper {
    /// Starts a program with `mark` as its marker in the environment; `None` where there is no such program.
    pub(crate) fn start(program: impl AsRef<Path>, args: &[&str], mark: Option<&str>) -> Option<Sleeper> {
        let mut command = Command::new(program.as_ref());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Sleeper::spawn(command, mark)
    }

    fn spawn(mut command: Command, mark: Option<&str>) -> Option<Sleeper> {
        if let Some(mark) = mark {
            command.env("EXAI_OWNER", mark);
        }
        let child = command.spawn().ok()?;
        let identity = identify(child.id()).expect("the process table").expect("it lives");
        Some(Sleeper { child, identity })
    }

    pub(crate) fn sleep() -> Sleeper {
        Sleeper::with_env_marker(None)
    }

    pub(crate) fn with_env_marker(mark: Option<&str>) -> Sleeper {
        Sleeper::spawn(exai_test::sleeper(), mark).expect("the fixture starts")
    }

    /// A sleeper whose program has this name.
    pub(crate) fn named(dir: &Path, name: &str, mark: Option<&str>) -> Sleeper {
        let program = dir.join(format!("{name}{EXE_SUFFIX}"));
        std::fs::copy(exai_test::program("fixture-server"), &program).expect("a copy of the fixture");
        Sleeper::spawn(exai_test::asleep(program), mark).expect("the copy starts")
    }

    /// A sleeper with this number of children, which are sleepers too. The script starts them, or the fixture where
    /// there is no shell.
    pub(crate) fn with_children(number: usize, script: &str) -> Sleeper {
        if cfg!(windows) {
            let switches = ["--children", &number.to_string(), "--ignore-stdin-eof"];
            return Sleeper::start(exai_test::program("fixture-server"), &switches, None).expect("it starts");
        }
        Sleeper::shell(script, None).expect("sh")
    }

    pub(crate) fn shell(script: &str, mark: Option<&str>) -> Option<Sleeper> {
        Sleeper::start("setsid", &["sh", "-c", script], mark)
    }

    /// A shell that carries the descent tag of a tree, as the root below a guard does.
    pub(crate) fn with_descent_tag(script: &str, record: &TreeRecord, mark: &str) -> Option<Sleeper> {
        let script = format!("ulimit -S -x {}; {script}", record.descent_tag().number());
        Sleeper::start("setsid", &["bash", "-c", &script], Some(mark))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.identity.pid
    }

    pub(crate) fn lives(&self) -> bool {
        lives(&self.identity)
    }

    /// Ends the process; its identity remains.
    pub(crate) fn end(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Ends the process without reaping it.
    pub(crate) fn make_zombie(&mut self) {
        self.child.kill().expect("it can be killed");
        exai_test::eventually("it is a zombie", Duration::from_secs(5), || !self.lives());
    }

    /// Waits until the process has this number of children, and returns them.
    pub(crate) fn children(&self, number: usize) -> Vec<Identity> {
        let mut found = Vec::new();
        exai_test::eventually("the children are there", Duration::from_secs(5), || {
            let all = snapshot().expect("the process table");
            let children =
                all.iter().filter(|row| row.ppid == self.pid() && !row.zombie && is_sleeper(&row.name));
            found = children.filter_map(|row| identify(row.pid).ok().flatten()).collect();
            found.len() == number
        });
        found
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // The group's number cannot be reused before its leader is reaped, so the group is ended first.
        for row in snapshot().unwrap_or_default() {
            if row.pgid == self.pid() {
                identify(row.pid).ok().flatten().iter().for_each(tidy);
            }
        }
        let _ = self.child.wait();
    }
}

fn is_sleeper(name: &str) -> bool {
    name == "sleep" || name.strip_suffix(EXE_SUFFIX) == Some("fixture-server")
}

pub(crate) fn lives(identity: &Identity) -> bool {
    identify(identity.pid).expect("the process table").as_ref() == Some(identity)
}

/// Ends a process that is no child of the test.
pub(crate) fn tidy(identity: &Identity) {
    let _ = kill_verified(identity, Kill::Force);
}

pub(crate) struct Scene {
    pub(crate) dir: TempDir,
    daemon: Identity,
    /// The nonce of the dead daemon. Tests run at the same time, so each has its own.
    pub(crate) nonce: String,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        // The daemon must have started before the processes that it is said to have started.
        let mut daemon = Sleeper::sleep();
        daemon.end();
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("servers")).expect("a directory");
        let nonce = format!("{:08x}{:08x}", daemon.pid(), daemon.identity.start & 0xFFFF_FFFF);
        Scene { dir, daemon: daemon.identity.clone(), nonce }
    }

    pub(crate) fn servers(&self) -> PathBuf {
        self.dir.path().join("servers")
    }

    pub(crate) fn record(&self, id: &str, processes: Vec<Recorded>) -> TreeRecord {
        TreeRecord {
            schema: SCHEMA,
            instance: self.nonce.clone(),
            daemon: self.daemon.clone(),
            server: id.split('#').next().expect("a name").to_owned(),
            id: id.to_owned(),
            started_at: "2026-11-23T10:00:00Z".to_owned(),
            containment: Containment::Strict,
            processes,
        }
    }

    /// The marker that a process of `everything#N` has in its environment.
    pub(crate) fn env_marker(&self, number: u32) -> String {
        format!("{}.everything#{number}", self.nonce)
    }

    /// Writes a record and returns the path of its file.
    pub(crate) fn write(&self, record: &TreeRecord) -> PathBuf {
        record.write(&self.servers()).expect("a record is written");
        exai_supervisor::record::path(&self.servers(), &record.id, &record.instance)
    }

    pub(crate) fn find(&self) -> Leftovers {
        leftovers::find(&self.servers(), None, None).expect("a look")
    }

    pub(crate) fn end(&self) -> (Leftovers, Duration) {
        let mut found = self.find();
        let start = Instant::now();
        leftovers::end(&mut found, start + Duration::from_secs(10));
        (found, start.elapsed())
    }
}

pub(crate) fn recorded(identity: &Identity, place: TreeRole) -> Recorded {
    Recorded { pid: identity.pid, identity: identity.clone(), place, name: "x".to_owned() }
}

/// The finding about a process, if there is one.
pub(crate) fn about<'a>(found: &'a Leftovers, identity: &Identity) -> Option<&'a LeftProcess> {
    found.trees.iter().flat_map(|tree| &tree.processes).find(|process| process.identity == *identity)
}

#[track_caller]
pub(crate) fn assert_ended(found: &Leftovers, identity: &Identity, proof: &str) {
    let process = about(found, identity).unwrap_or_else(|| panic!("pid {} was not found", identity.pid));
    match (&process.verdict, &process.outcome) {
        (Verdict::Ours { proof: said }, Some(CleanupOutcome::Ended)) => {
            assert!(said.contains(proof), "{said}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!lives(identity));
}

#[track_caller]
pub(crate) fn assert_left(found: &Leftovers, identity: &Identity, reason: &str) {
    let process = about(found, identity).unwrap_or_else(|| panic!("pid {} was not found", identity.pid));
    assert!(!process.is_ours(), "{process:?}");
    match &process.outcome {
        Some(CleanupOutcome::Left { reason: said }) => assert!(said.contains(reason), "{said}"),
        other => panic!("{other:?}"),
    }
    assert!(lives(identity));
}
