//! A job of a test, and the events that it reports.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use exai_os::descent_tag::DescentTag;
use exai_os::process::{Identity, ProcessInfo};
use exai_os::tree::{Guard, KillScope, Launch};
use exai_supervisor::{Ended, Job, JobEvent, Line, Spec, StdioUse};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The longest time that any single step of a test may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
pub(crate) const MIB: usize = 1024 * 1024;

/// A request whose answer is one line.
pub(crate) const PING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#;

/// A job of a test.
pub(crate) struct Bench {
    pub(crate) job: Job,
    pub(crate) tasks: TaskTracker,
    events: mpsc::Receiver<((), JobEvent)>,
    dir: TempDir,
    /// The folder of the program, if the program was made for this job.
    launcher: Option<TempDir>,
}

impl Bench {
    /// A job that runs the fixture server.
    pub(crate) fn fixture(switches: &[&str]) -> Self {
        Bench::start(exai_test::program("fixture-server"), switches).unwrap()
    }

    /// A job that runs a shell script.
    pub(crate) fn shell(script: &str) -> Self {
        Bench::start(PathBuf::from("/bin/sh"), &["-c", script]).unwrap()
    }

    /// A launcher that leaves the fixture server behind and exits at once with status 0.
    pub(crate) fn left_by_its_launcher(stdio_use: StdioUse, switches: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = exai_test::program("fixture-server").display().to_string();
        let batch = dir.path().join("launcher.cmd");
        let (launcher, mut args) = if cfg!(windows) {
            std::fs::write(&batch, "@start \"\" /b %*\r\n@exit 0\r\n").unwrap();
            (batch, vec![&*fixture])
        } else {
            (PathBuf::from("/bin/sh"), vec!["-c", "exec 3<&0; \"$@\" <&3 & exit 0", "sh", &fixture])
        };
        args.extend(switches);
        let mut bench = Bench::speaking(stdio_use, KillScope::Descendants, launcher, &args).unwrap();
        bench.launcher = Some(dir);
        bench
    }

    pub(crate) fn start(program: PathBuf, args: &[&str]) -> io::Result<Self> {
        Bench::with_kill_scope(KillScope::Descendants, program, args)
    }

    /// A job that runs the fixture server and with which exai does not speak over stdio.
    pub(crate) fn silent_fixture(switches: &[&str]) -> Self {
        let fixture = exai_test::program("fixture-server");
        Bench::speaking(StdioUse::Elsewhere, KillScope::Descendants, fixture, switches).unwrap()
    }

    /// A job that runs a shell script and with which exai does not speak over stdio.
    pub(crate) fn silent_shell(script: &str) -> Self {
        let shell = PathBuf::from("/bin/sh");
        Bench::speaking(StdioUse::Elsewhere, KillScope::Descendants, shell, &["-c", script]).unwrap()
    }

    pub(crate) fn with_kill_scope(
        kill_scope: KillScope,
        program: PathBuf,
        args: &[&str],
    ) -> io::Result<Self> {
        Bench::speaking(StdioUse::Stdio, kill_scope, program, args)
    }

    fn speaking(
        stdio_use: StdioUse,
        kill_scope: KillScope,
        program: PathBuf,
        args: &[&str],
    ) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut env: Vec<(OsString, OsString)> = ["PATH", "SystemRoot"]
            .into_iter()
            .filter_map(|name| Some((name.into(), inherited(name)?)))
            .collect();
        env.push(("EXAI_OWNER".into(), "test.fix#1".into()));
        let spec = Spec {
            launch: Launch {
                program,
                args: args.iter().map(OsString::from).collect(),
                env,
                cwd: dir.path().to_owned(),
                kill_scope,
                descent_tag: DescentTag::new("test", &format!("fix#{}", dir.path().display()), kill_scope),
                guard: Guard {
                    program: exai_test::program("exai"),
                    args: ["guard", "test", "fix#1"].map(Into::into).to_vec(),
                    env: Vec::new(),
                },
            },
            log: dir.path().join("server.log"),
            stdio_use,
            line_limit: 32 * MIB,
            queue_limit: MIB.into(),
        };
        let (sender, events) = mpsc::channel(16);
        let tasks = TaskTracker::new();
        let job = exai_supervisor::start(&spec, (), sender, &tasks, |_, _| {})?;
        Ok(Bench { job, tasks, events, dir, launcher: None })
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn send(&self, line: impl Into<Bytes>) {
        self.job.send(line.into()).unwrap();
    }

    /// Sends a tool call.
    pub(crate) fn call(&self, id: u64, tool: &str, arguments: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        ));
    }

    /// The next event: lines, or the end.
    pub(crate) async fn event(&mut self) -> JobEvent {
        timeout(LIMIT, self.events.recv())
            .await
            .expect("something is said in time")
            .expect("no end was told")
            .1
    }

    /// The next `count` lines.
    pub(crate) async fn lines(&mut self, count: usize) -> Vec<Bytes> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.event().await {
                JobEvent::Lines(lines, _) => all.extend(lines.into_iter().map(whole)),
                JobEvent::Ended(ended) => panic!("ended after {} lines: {ended:?}", all.len()),
            }
        }
        assert_eq!(all.len(), count);
        all
    }

    /// Waits until the server works, which its answer to a ping shows.
    pub(crate) async fn ready(&mut self) {
        self.send(PING);
        self.lines(1).await;
    }

    /// Waits for the end; returns it with the lines before it. Panics if anything comes after the end.
    pub(crate) async fn end(&mut self) -> (Ended, Vec<Bytes>) {
        let mut all = Vec::new();
        loop {
            match self.event().await {
                JobEvent::Lines(lines, _) => all.extend(lines.into_iter().map(whole)),
                JobEvent::Ended(ended) => {
                    let after = timeout(LIMIT, self.events.recv()).await.expect("the channel is closed");
                    assert!(after.is_none(), "{after:?} after the end");
                    return (ended, all);
                }
            }
        }
    }

    /// The number of living processes in the job's group.
    pub(crate) fn living(&self) -> usize {
        living(self.job.root())
    }
}

/// The text that the fixture server writes at its start with `--print-garbage`.
pub(crate) const GARBAGE: &[u8] = b"fixture-server 1.0 starting\n\n{\"almost\": json\n\xff\xfe not utf-8\n";

/// The lines of [`GARBAGE`] that are not empty.
pub(crate) fn garbage_lines() -> Vec<Bytes> {
    let lines = GARBAGE.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(Bytes::copy_from_slice).collect()
}

/// The number of living processes in a group, its leader included. Windows has no groups: there the count takes the
/// leader and its descendants, even when the leader is gone and its pid belongs to another process now, or belonged to
/// one before.
pub(crate) fn living(leader: &Identity) -> usize {
    let all = exai_os::process::snapshot().unwrap();
    let within: Box<dyn Fn(&ProcessInfo) -> bool> = if cfg!(windows) {
        let next = all.iter().find(|process| process.pid == leader.pid && process.start != leader.start);
        let times = leader.start..next.map_or(u64::MAX, |next| next.start);
        let below = exai_os::process::descendants(&all, leader.pid);
        // Windows adds a process of its own for each console.
        Box::new(move |process| {
            (process.pid == leader.pid || below.contains(process))
                && times.contains(&process.start)
                && process.name != "conhost.exe"
        })
    } else {
        Box::new(|process| process.pgid == leader.pid)
    };
    all.iter().filter(|process| within(process) && !process.zombie).count()
}

/// Whether this process belongs to this group.
pub(crate) fn in_group(group: u32, pid: u32) -> bool {
    let all = exai_os::process::snapshot().unwrap();
    all.iter().any(|process| process.pgid == group && process.pid == pid)
}

/// Waits for the work of a task. (`eventually` would block the only thread, on which the tasks run.)
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(LIMIT, holds).await.is_ok(), "did not happen: {what}");
}

/// Waits until the group is gone: a process obeys SIGKILL at once, but not necessarily before `kill` returns.
pub(crate) fn nobody_lives(leader: &Identity) {
    exai_test::eventually("the whole group is gone", LIMIT, || living(leader) == 0);
}

pub(crate) fn text(line: &[u8]) -> &str {
    std::str::from_utf8(line).unwrap()
}

fn whole(line: Line) -> Bytes {
    match line {
        Line::Whole(line) => line,
        Line::TooLong(start) => panic!("too long: {}", text(&start)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own environment, not a setting of ours")]
fn inherited(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
