//! The three standard streams, even where another program has made them non-blocking.
//!
//! Whether a stream blocks is a property of the open file, which several processes share: a client (Bun), ssh or a
//! program in the same terminal may change it for all of them. Reads and writes then fail with `WouldBlock`, which
//! means only "not now". This process must not clear the flag, since the program that has set it relies on it.

use std::io::{self, Read, Stderr, Stdin, Stdout, Write};

use crate::sys;

/// A standard stream whose reads and writes wait until they can be carried out.
#[derive(Debug)]
pub struct Patient<S>(S);

/// Which of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Input,
    Output,
    Errors,
}

/// Stdin.
pub fn input() -> Patient<Stdin> {
    Patient(io::stdin())
}

/// Stdout.
pub fn output() -> Patient<Stdout> {
    Patient(io::stdout())
}

/// Stderr.
pub fn errors() -> Patient<Stderr> {
    Patient(io::stderr())
}

/// Repeats an operation until it need not wait.
fn wait<T>(which: Which, mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match action() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sys::streams::wait(which)?,
            outcome => return outcome,
        }
    }
}

impl Read for Patient<Stdin> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(Which::Input, || self.0.read(buffer))
    }
}

// The caller keeps what could not be written, and what was written is counted: nothing is lost or written twice.
impl Write for Patient<Stdout> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(Which::Output, || self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(Which::Output, || self.0.flush())
    }
}

impl Write for Patient<Stderr> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(Which::Errors, || self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(Which::Errors, || self.0.flush())
    }
}
