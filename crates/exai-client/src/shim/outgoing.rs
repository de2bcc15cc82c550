//! Lines on their way to the daemon.

use std::io::{self, Write};

use crate::frame::{self, Key};
use crate::limits::{LARGE_MESSAGE_BYTES, MAX_WRITE_BYTES};
use crate::stream::Framing;

/// Writes lines as frames, in as few writes as there can be.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// Where in `bytes` the frame of each line ends.
    ends: Vec<usize>,
}

impl Outgoing {
    /// Writes the lines and returns how many of them, from the first on, were written whole. The peer cannot act on
    /// any part of the others.
    pub(super) fn write(
        &mut self,
        to: &mut impl Write,
        framing: Framing,
        lines: &[impl AsRef<[u8]>],
    ) -> usize {
        let mut written = 0;
        let outcome = self.write_all(to, framing, lines, &mut written);
        self.bytes.clear();
        self.ends.clear();
        debug_assert!(outcome.is_err() || written == lines.len(), "BUG: a line was forgotten");
        written
    }

    fn write_all(
        &mut self,
        to: &mut impl Write,
        framing: Framing,
        lines: &[impl AsRef<[u8]>],
        written: &mut usize,
    ) -> io::Result<()> {
        for line in lines {
            let line = line.as_ref();
            let (opcode, key) = (framing.opcode(line), framing.key());
            if line.len() >= LARGE_MESSAGE_BYTES {
                frame::put_header(&mut self.bytes, opcode, line.len(), key);
                self.flush(to, written)?;
                self.write_large(to, line, key)?;
                *written += 1;
                continue;
            }
            frame::put(&mut self.bytes, opcode, line, key);
            self.ends.push(self.bytes.len());
            if self.bytes.len() >= MAX_WRITE_BYTES {
                self.flush(to, written)?;
            }
        }
        self.flush(to, written)
    }

    /// Writes a payload when nothing else waits.
    fn write_large(&mut self, to: &mut impl Write, line: &[u8], key: Key) -> io::Result<()> {
        if key == frame::NO_MASK {
            return to.write_all(line);
        }
        for part in line.chunks(MAX_WRITE_BYTES) {
            self.bytes.clear();
            self.bytes.extend_from_slice(part);
            frame::mask(&mut self.bytes, key);
            to.write_all(&self.bytes)?;
        }
        self.bytes.clear();
        Ok(())
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
    use crate::frame::Opcode;

    /// A writer that takes this number of bytes and then fails.
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
        let large = vec![b'x'; LARGE_MESSAGE_BYTES];
        let lines: [&[u8]; 4] = [b"one", b"two", &large, b"three"];
        let mut whole = Vec::new();
        for line in lines {
            frame::put(&mut whole, Opcode::Binary, line, frame::NO_MASK);
        }
        // The headers have 6, 6, 8 and 6 bytes.
        let ends = [9, 18, 18 + 8 + LARGE_MESSAGE_BYTES, whole.len()];
        for room in [
            0,
            1,
            8,
            9,
            17,
            18,
            25,
            26,
            18 + 7 + LARGE_MESSAGE_BYTES,
            18 + 8 + LARGE_MESSAGE_BYTES,
            whole.len() - 1,
            whole.len(),
        ] {
            let mut to = Narrow(room, Vec::new());
            let written = Outgoing::default().write(&mut to, Framing::Link, &lines);
            assert_eq!(written, ends.iter().filter(|end| **end <= room).count(), "room for {room}");
            assert_eq!(to.1, whole[..room]);
        }
    }
    #[test]
    fn on_tcp_every_frame_is_masked_with_a_key_of_its_own() {
        let large: Vec<u8> = (b'a'..=b'z').cycle().take(2 * MAX_WRITE_BYTES + 7).collect();
        let lines: [&[u8]; 4] = [b"one", &large, b"no \xFF text", b"one"];
        let mut to = Narrow(usize::MAX, Vec::new());
        assert_eq!(Outgoing::default().write(&mut to, Framing::Mcp, &lines), lines.len());
        let mut rest = &to.1[..];
        let mut keys = Vec::new();
        for line in lines {
            let opcode = if std::str::from_utf8(line).is_ok() { 0x81 } else { 0x82 };
            assert_eq!(rest[0], opcode);
            let header = if line.len() > 125 { 10 } else { 2 };
            let key: Key = rest[header..header + 4].try_into().unwrap();
            let payload = &rest[header + 4..header + 4 + line.len()];
            let unmasked = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            assert!(unmasked.eq(line.iter().copied()));
            assert_ne!(key, frame::NO_MASK);
            keys.push(key);
            rest = &rest[header + 4 + line.len()..];
        }
        assert!(rest.is_empty());
        keys.dedup();
        assert!(keys.len() > 1, "{keys:?}");
    }
}
