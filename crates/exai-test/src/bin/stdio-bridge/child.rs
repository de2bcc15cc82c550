//! One run of the stdio server.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

pub(crate) struct Child {
    process: Mutex<Process>,
    /// `None` once the server is to end.
    input: Mutex<Option<ChildStdin>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Child {
    /// Starts `command`. `hear` gets each message on its stdout, and `None` when there are no more.
    pub(crate) fn start(
        command: &[String],
        mut hear: impl FnMut(Option<Value>) + Send + 'static,
    ) -> io::Result<Self> {
        let mut process = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        thread::spawn(move || {
            for line in
                output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok)
            {
                match serde_json::from_str(&line) {
                    Ok(message @ Value::Object(_)) => hear(Some(message)),
                    // If stderr is closed, nobody wants to know.
                    _ => drop(writeln!(io::stderr(), "stdio-bridge: this is no message: {line}")),
                }
            }
            hear(None);
        });
        Ok(Child { process: Mutex::new(process), input: Mutex::new(input) })
    }

    pub(crate) fn send(&self, message: &Value) -> io::Result<()> {
        match &mut *lock(&self.input) {
            Some(input) => input.write_all(format!("{message}\n").as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes the server's stdin, by which it knows that it shall end.
    pub(crate) fn end(&self) {
        drop(lock(&self.input).take());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
        let mut process = lock(&self.process);
        let _ = process.kill();
        let _ = process.wait();
    }
}
