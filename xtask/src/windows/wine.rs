//! Wine's server, kept alive while its tests run.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::process;

/// How long Wine may take until it runs a program.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// The pause before another attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// A Windows program that waits for the end of its input, so that Wine's server stays.
///
/// That server ends some seconds after its last program. A program that starts while it ends, and it can take its time
/// to write the registry, gives up after six seconds: "a wine server seems to be running, but I cannot connect to it".
pub(super) struct RunningWine(Child);

impl RunningWine {
    /// Starts Wine by its command `wine`, again where that fails, until a program has answered.
    pub(super) fn start(wine: &Path) -> Result<Self, String> {
        let deadline = Instant::now() + START_DEADLINE;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let mut command = Command::new(wine);
            command.args(["cmd", "/q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            // Wine's server takes what its first program has, and may outlive it: whoever reads our stderr to its end must
            // not wait for that.
            command.stderr(Stdio::null());
            let mut keeper = Self(process::spawn(&mut command)?);
            if keeper.answers(left) {
                return Ok(keeper);
            }
            thread::sleep(PAUSE);
        }
        let (wine, patience) = (wine.display(), START_DEADLINE.as_secs());
        Err(format!("Wine runs no program within {patience} s; to see why: `{wine} cmd /c ver`"))
    }

    /// Whether the program does what its input says, within `patience`.
    fn answers(&mut self, patience: Duration) -> bool {
        let (Some(stdin), Some(stdout)) = (&mut self.0.stdin, self.0.stdout.take()) else { return false };
        if stdin.write_all(b"echo ready\r\n").is_err() {
            return false;
        }
        let (sender, answer) = mpsc::channel();
        // It ends with the program, whose output it takes away.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.ends_with("ready") {
                    let _ = sender.send(());
                }
            }
        });
        answer.recv_timeout(patience).is_ok()
    }
}

impl Drop for RunningWine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
