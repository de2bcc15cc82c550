//! The effects of the switches before the first message and after the last one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use crate::options::Options;

/// No process of the fixture lives longer, so that a killed test leaves no process behind for ever.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_mins(15);

/// Exit code of `--die-at-start`.
const DIED_AT_START: u8 = 3;

/// Does what must happen before the server reads. `Some` is the code with which the process must exit now.
pub(crate) fn at_start(options: &Options) -> Option<ExitCode> {
    if options.sleep {
        thread::sleep(LONGEST_LIFE);
        return Some(ExitCode::SUCCESS);
    }
    if let Some(file) = &options.start_after {
        while !Path::new(file).exists() {
            thread::sleep(Duration::from_millis(10));
        }
    }
    if let Some(file) = &options.note_start {
        note(file);
    }
    start_children(options.children, Stdio::null);
    start_children(options.children_inherit, Stdio::inherit);
    // Errors of these writes are ignored: a test that has stopped reading is no reason to fail.
    for _ in 0..options.stderr_noise.unwrap_or_default() {
        let _ = io::stderr().write_all(&b"fixture noise, 32 bytes a line.\n".repeat(32));
    }
    if options.print_garbage {
        let _ =
            io::stdout().write_all(b"fixture-server 1.0 starting\n\n{\"almost\": json\n\xff\xfe not utf-8\n");
    }
    if let Some(text) = &options.die_at_start {
        let _ = io::stderr().write_all(text.as_bytes());
        return Some(ExitCode::from(DIED_AT_START));
    }
    if options.hang_at_start {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        at_end(options);
        return Some(ExitCode::SUCCESS);
    }
    flood(options.no_newline);
    None
}

/// Appends the line `started` to a file.
pub(crate) fn note(file: &str) {
    let mut file = File::options().append(true).create(true).open(file).expect("the file can be written");
    file.write_all(b"started\n").expect("the file can be written");
}

/// Stays alive after the end of stdin, if the switches ask for that.
pub(crate) fn at_end(options: &Options) {
    if options.ignore_stdin_eof {
        thread::sleep(LONGEST_LIFE);
    }
}

/// Writes `bytes` bytes without a newline to stdout.
pub(crate) fn flood(bytes: usize) {
    let block = vec![b'#'; 64 * 1024];
    let mut output = io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let now = left.min(block.len());
        if output.write_all(&block[..now]).is_err() {
            return;
        }
        left -= now;
    }
    let _ = output.flush();
}

/// The children run this same program, asleep: no other program is certain to be installed.
#[expect(clippy::zombie_processes, reason = "what becomes of children nobody waits for is the test")]
fn start_children(count: usize, stdio: fn() -> Stdio) {
    for _ in 0..count {
        let program = std::env::current_exe().expect("a running program has a path");
        Command::new(program)
            .arg("--sleep")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .expect("the fixture can start itself");
    }
}
