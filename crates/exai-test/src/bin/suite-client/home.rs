//! A daemon in a state directory of its own.

use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use exai_test::program;
use serde_json::json;

use crate::common::{Era, Outcome};

/// How long the daemon may take to end.
const LONGEST_END: Duration = Duration::from_secs(8);
/// How many lines of the daemon's log are shown after a failure.
const SHOWN_LINES: usize = 30;
/// The name of the suite's server in the configuration.
pub(crate) const SERVER: &str = "suite";

/// Where the client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// That of the suite's server alone.
    Server,
    /// That of all servers, at which a client can begin before anybody has signed in.
    All,
}

/// The state directory of the daemon.
pub(crate) struct Home {
    path: PathBuf,
}

/// Plays with a daemon that hosts the server at `url`, and signs in there as the table `sign_in` says. The daemon is stopped
/// whatever becomes of the play.
pub(crate) fn with_daemon(
    url: &str,
    sign_in: &str,
    era: Era,
    play: impl FnOnce(&Home) -> Outcome,
) -> Outcome {
    let home =
        Home::new(url, sign_in, era).map_err(|error| format!("there is no state directory: {error}"))?;
    let played = catch_unwind(AssertUnwindSafe(|| play(&home)));
    let played = played.unwrap_or_else(|_| Err("BUG: the play has panicked".to_owned()));
    let outcome = match (played, home.stop()) {
        (Err(play), Err(stop)) => Err(format!("{play}; {stop}")),
        (played, stopped) => played.and(stopped),
    };
    if outcome.is_err() {
        home.show_log();
    }
    // A daemon that has not stopped may write there still. Then the directory stays, like the daemon.
    let _ = fs::remove_dir_all(&home.path);
    outcome
}

impl Home {
    fn new(url: &str, sign_in: &str, era: Era) -> io::Result<Self> {
        // The number of a process that was killed comes again one day, so the time is in the name as well.
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |passed| passed.as_nanos());
        let path = std::env::temp_dir().join(format!("exai-suite-client-{}-{now}", std::process::id()));
        fs::create_dir(&path)?;
        let era = match era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let server =
            format!("[servers.{SERVER}]\nurl = {}\nera = \"{era}\"\nsign_in = {{{sign_in}}}\n", json!(url));
        fs::write(path.join("config.toml"), format!("[daemon]\nport = 0\n\n{server}"))?;
        Ok(Home { path })
    }

    /// A shim, which starts the daemon.
    pub(crate) fn shim(&self, endpoint: Endpoint) -> Command {
        match endpoint {
            Endpoint::Server => self.command(&["shim", "--server", SERVER]),
            Endpoint::All => self.command(&["shim"]),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("exai"));
        command.args(arguments).env("EXAI_HOME", &self.path).env("EXAI_KEYRING", "off").stdin(Stdio::null());
        command
    }

    fn stop(&self) -> Outcome {
        let mut command = self.command(&["stop", "--timeout", "0"]);
        let child = command.stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("exai stop does not start: {error}"))?;
        await_end(child, LONGEST_END).map_err(|problem| format!("exai stop {problem}"))
    }

    fn show_log(&self) {
        let log = fs::read_to_string(log_of(&self.path)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
        let _ = writeln!(io::stderr(), "the daemon's log:\n{tail}");
    }
}

fn log_of(home: &Path) -> PathBuf {
    home.join("log").join("daemon.log")
}

/// Waits until the process ends well. One that has not closed its stdout by then is killed.
fn await_end(mut child: Child, limit: Duration) -> Outcome {
    let output = child.stdout.take();
    let (closing, closed) = sync_channel::<()>(0);
    thread::spawn(move || {
        // What it says is not needed: only the end matters.
        let _ = output.map(|mut output| io::copy(&mut output, &mut io::sink()));
        drop(closing);
    });
    let in_time = closed.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected);
    if !in_time {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("cannot be waited for: {error}"))?;
    match (in_time, status.success()) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("has failed: {status}")),
        (false, _) => Err(format!("has not ended within {limit:?}")),
    }
}
