//! What all cases share: where they may write, how long they may take, and whether the test was interrupted.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::{MAX_SELFTEST_PAUSE, MIN_SELFTEST_PAUSE, SELFTEST_COMMAND_TIMEOUT, SELFTEST_TIMEOUT};
use exai_os::private;
use exai_os::process;

/// Set once this process was asked to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupted(Arc<AtomicBool>);

/// The private place of the self-test, with its time and its interruption.
#[derive(Debug)]
pub(super) struct Bench {
    /// This program.
    pub(super) exe: PathBuf,
    /// A private directory, removed at the end.
    dir: PathBuf,
    end: Instant,
    interrupted: Interrupted,
    /// Tool calls that were answered.
    pub(super) calls: Arc<AtomicU64>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(super) struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Interrupted {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Bench {
    pub(super) fn new(interrupted: Interrupted) -> Result<Self, String> {
        let exe = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let me = process::current().map_err(|error| format!("cannot identify this process: {error}"))?;
        let dir = std::env::temp_dir().join(format!("exai-selftest-{}-{}", me.pid, me.start));
        private::ensure_dir(&dir).map_err(|error| error.to_string())?;
        // Clients and servers see it under its real name.
        let dir = dunce::canonicalize(&dir).unwrap_or(dir);
        let end = Instant::now() + SELFTEST_TIMEOUT;
        Ok(Bench { exe, dir, end, interrupted, calls: Arc::default() })
    }

    /// A private directory in ours.
    pub(super) fn dir(&self, name: &str) -> Result<PathBuf, String> {
        let dir = self.dir.join(name);
        private::ensure_dir(&dir).map_err(|error| error.to_string())?;
        Ok(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Looks until there is a result, or it fails, or `limit` is over. `what` completes "… did not happen".
    pub(super) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Result<Option<T>, String>,
    ) -> Result<T, String> {
        let start = Instant::now();
        let mut pause = MIN_SELFTEST_PAUSE;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            self.go_on()?;
            if start.elapsed() >= limit {
                return Err(format!("did not happen within {}: {what}", seconds(limit)));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_SELFTEST_PAUSE);
        }
    }

    /// Whether there is time left and the test was not interrupted.
    pub(super) fn go_on(&self) -> Result<(), String> {
        if self.interrupted.is_set() {
            return Err("interrupted".to_owned());
        }
        if Instant::now() >= self.end {
            return Err(format!("the self-test has taken {}, more than it may", seconds(SELFTEST_TIMEOUT)));
        }
        Ok(())
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: Command) -> Result<Said, String> {
        run(command, || self.go_on())
    }

    /// How many tool calls were answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.is_set()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // No running process needs it, and it is in a directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Runs a command to its end, for at most [`SELFTEST_COMMAND_TIMEOUT`] and as long as `go_on` agrees.
pub(super) fn run(mut command: Command, go_on: impl Fn() -> Result<(), String>) -> Result<Said, String> {
    let what = shown(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start {what}: {error}"))?;
    let (out, err) = (child.stdout.take().map(drained), child.stderr.take().map(drained));
    let deadline = Instant::now() + SELFTEST_COMMAND_TIMEOUT;
    let status = ended(&mut child, deadline, &go_on).map_err(|error| format!("{what}: {error}"))?;
    // A process that outlives the command may hold its streams.
    let text = |stream: Option<Receiver<String>>| {
        stream.and_then(|text| text.recv_timeout(Duration::from_secs(2)).ok()).unwrap_or_default()
    };
    Ok(Said { code: status.code(), out: text(out), err: text(err) })
}

/// Waits for the end of a child, and ends the child if it does not end in time.
pub(super) fn ended(
    child: &mut Child,
    deadline: Instant,
    go_on: &impl Fn() -> Result<(), String>,
) -> Result<std::process::ExitStatus, String> {
    let mut pause = MIN_SELFTEST_PAUSE;
    loop {
        let why = match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => match go_on() {
                Ok(()) => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(MAX_SELFTEST_PAUSE / 2);
                    continue;
                }
                Err(why) => why,
            },
            Ok(None) => "it did not end in time".to_owned(),
            Err(error) => format!("cannot wait for it: {error}"),
        };
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(why);
    }
}

fn drained(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // Output from before an error is still useful.
        let _ = stream.read_to_end(&mut bytes);
        // The receiver is gone if this took too long.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// `exai start`
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    format!("`{}`", words.join(" "))
}

/// `1.25 s`, `80 ms`
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
