//! `exai` on a terminal, where it asks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use exai_test::{eventually, program};

use crate::support::{Instance, LIMIT};

/// `exai` on a terminal of its own.
pub(crate) struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: BufReader<ChildStdout>,
    seen: String,
    /// How much of that was waited for.
    expected: usize,
}

impl Terminal {
    pub(crate) fn new(instance: &Instance, args: &[&str]) -> Self {
        Terminal::with(instance, args, &[])
    }

    /// The same with more variables.
    pub(crate) fn with(instance: &Instance, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let words: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        // The code is that of exai; a signal is 128 and its number.
        let command = format!("{} {}", program("exai").display(), words.join(" "));
        let mut script = Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .env("EXAI_HOME", instance.home())
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied());
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().expect("script runs (bsdutils)");
        let keys = script.stdin.take().expect("a pipe");
        let screen = BufReader::new(script.stdout.take().expect("a pipe"));
        Terminal { script, keys, screen, seen: String::new(), expected: 0 }
    }

    /// Reads until this is on the screen, behind what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let mut byte = [0];
        while !self.seen.get(self.expected..).unwrap_or_default().ends_with(text) {
            let read = self.screen.read(&mut byte).expect("the screen");
            assert_eq!(read, 1, "no {text:?} in: {}", self.seen);
            self.seen.push(char::from(byte[0]));
        }
        self.expected = self.seen.len();
    }

    /// The same for a question whose answer is not shown: waits also until the terminal shows none.
    #[track_caller]
    pub(crate) fn expect_hidden(&mut self, text: &str) {
        self.expect(text);
        let all = exai_os::process::snapshot().expect("the process table");
        let child = all.iter().find(|one| one.ppid == self.script.id()).expect("exai, or its shell");
        let device = format!("/proc/{}/fd/0", child.pid);
        eventually("the terminal shows nothing", LIMIT, || {
            let mode = Command::new("stty").args(["-F", &device, "-a"]).output().expect("stty runs");
            String::from_utf8_lossy(&mode.stdout).contains(" -echo ")
        });
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
    }

    /// The exit code, and everything that was on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.screen.read_until(0, &mut rest).expect("the screen");
        let code = self.script.wait().expect("it ends").code();
        (code, self.seen + &String::from_utf8_lossy(&rest))
    }
}
