//! Lines on their way to the daemon.

use std::io::{self, Write};

use crate::frame::{self, Opcode};

/// A line from here on is written from where it stands, not copied.
pub(super) const LARGE: usize = 32 * 1024;
/// How much is collected before it is written.
const FULL: usize = 128 * 1024;

/// Writes lines as frames, in as few writes as there can be.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// Where in `bytes` the frame of each line ends.
    ends: Vec<usize>,
}

impl Outgoing {
    /// How many of the lines, from the first on, were written whole. Of the others the peer has nothing
    /// that it could act on.
    pub(super) fn write(&mut self, to: &mut impl Write, lines: &[&[u8]]) -> usize {
        let mut written = 0;
        let outcome = self.write_all(to, lines, &mut written);
        self.bytes.clear();
        self.ends.clear();
        debug_assert!(outcome.is_err() || written == lines.len(), "BUG: a line was forgotten");
        written
    }

    fn write_all(&mut self, to: &mut impl Write, lines: &[&[u8]], written: &mut usize) -> io::Result<()> {
        for line in lines {
            frame::put_header(&mut self.bytes, Opcode::Binary, line.len());
            if line.len() >= LARGE {
                self.flush(to, written)?;
                to.write_all(line)?;
                *written += 1;
                continue;
            }
            self.bytes.extend_from_slice(line);
            self.ends.push(self.bytes.len());
            if self.bytes.len() >= FULL {
                self.flush(to, written)?;
            }
        }
        self.flush(to, written)
    }

    fn flush(&mut self, to: &mut impl Write, written: &mut usize) -> io::Result<()> {
        let mut done = 0;
        let outcome = loop {
            if done == self.bytes.len() {
                break Ok(());
            }
            match to.write(&self.bytes[done..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        *written += self.ends.iter().filter(|end| **end <= done).count();
        self.bytes.clear();
        self.ends.clear();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails.
    struct Narrow(usize, Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0 - self.1.len()).min(1000);
            if count == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.1.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_whole_is_known_to_the_byte() {
        let large = vec![b'x'; LARGE];
        let lines: [&[u8]; 4] = [b"one", b"two", &large, b"three"];
        let mut whole = Vec::new();
        for line in lines {
            frame::put(&mut whole, Opcode::Binary, line);
        }
        // Headers of 6, 6, 8 and 6 bytes.
        let ends = [9, 18, 18 + 8 + LARGE, whole.len()];
        for room in [0, 1, 8, 9, 17, 18, 25, 26, 18 + 7 + LARGE, 18 + 8 + LARGE, whole.len() - 1, whole.len()]
        {
            let mut to = Narrow(room, Vec::new());
            let written = Outgoing::default().write(&mut to, &lines);
            assert_eq!(written, ends.iter().filter(|end| **end <= room).count(), "room for {room}");
            assert_eq!(to.1, whole[..room]);
        }
    }
}
