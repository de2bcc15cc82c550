//! The release build of `exai.exe`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{TARGET, Windows};
use crate::process::{self, Outcome};

/// How often each program is started.
const STARTS: usize = 21;

impl Windows {
    pub(super) fn release(&self) -> Outcome {
        let mut build = self.command(self.bin("cargo"));
        // The std that is built here has no bitcode, without which it cannot be optimised together with the rest.
        build.env("CARGO_PROFILE_RELEASE_LTO", "off");
        process::run(build.args(["build", "--release", "-p", "exai", "--bin", "exai", "--target", TARGET]))?;
        let file = self.target.join(TARGET).join("release").join("exai.exe");
        let size =
            fs::metadata(&file).map_err(|error| format!("cannot look at {}: {error}", file.display()))?.len();
        println!("{}: {} KiB", file.display(), size >> 10);
        // Both times include that of Wine itself, which a minimal program shows.
        let (mut exai, mut wine) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            exai.push(self.start(&file, &["--version"])?);
            wine.push(self.start(Path::new("hostname.exe"), &[])?);
        }
        let (exai, wine) = (median(exai), median(wine));
        println!(
            "under Wine `exai --version` takes {:.0} ms, and Wine's own hostname.exe {:.0} ms (medians of {STARTS})",
            exai.as_secs_f64() * 1000.0,
            wine.as_secs_f64() * 1000.0
        );
        Ok(())
    }

    /// The time from a program's start to its end.
    fn start(&self, program: &Path, arguments: &[&str]) -> Result<Duration, String> {
        let mut command: Command = self.command(self.bin("wine"));
        command.arg(program).args(arguments).stdin(Stdio::null());
        let begin = Instant::now();
        process::output(&mut command)?;
        Ok(begin.elapsed())
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
