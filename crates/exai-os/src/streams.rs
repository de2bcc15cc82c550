//! The three standard streams, also where somebody has made them non-blocking.
//!
//! Whether a stream blocks belongs to the open file, which all processes share that have it: a client (Bun), ssh or a
//! program in the same terminal may set it for all of them. Reads and writes fail with `WouldBlock` then, which means
//! "not now", and no more. The flag is not ours to clear: whoever has set it counts on it.

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

/// Does something again and again, until it need not wait.
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

// What could not be written at all is kept by the caller, and what could be is counted: nothing is lost, nothing twice.
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
