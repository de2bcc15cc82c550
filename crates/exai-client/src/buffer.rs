//! A buffer: data is read into its end and taken from its start.
//!
//! It usually holds 64 KiB, grows for a long message and shrinks again after a while without one: a shim lives for
//! weeks, and one screenshot must not cost it a megabyte for ever.

use crate::limits::{BUFFER_BYTES, SHRINK_AFTER};

/// Bytes that were read and are not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    calm: u32,
}

impl Buffer {
    /// A buffer that holds these bytes already.
    pub(crate) fn with(bytes: &[u8]) -> Self {
        let mut buffer = Buffer::default();
        if !bytes.is_empty() {
            buffer.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
            buffer.filled(bytes.len());
        }
        buffer
    }

    /// The data that was read and is not taken yet.
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Free space of at least `least` bytes to read into.
    pub(crate) fn room(&mut self, least: usize) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.shrink_when_calm(least);
        }
        if self.bytes.len() - self.end < least && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let needed = self.end + least;
        if self.bytes.len() < needed {
            let length = needed.max(BUFFER_BYTES).max(if self.end > 0 { self.bytes.len() * 2 } else { 0 });
            self.bytes.resize(length, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes were read into the [`Buffer::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.bytes.len(), "BUG: more was read than there was room for");
    }

    /// Drops the first `count` bytes of the data.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "BUG: more was taken than there was");
    }

    fn shrink_when_calm(&mut self, least: usize) {
        if self.bytes.len() <= BUFFER_BYTES || least > BUFFER_BYTES {
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm >= SHRINK_AFTER {
            self.bytes = Vec::new();
            self.calm = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut Buffer, bytes: &[u8]) {
        buffer.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn what_is_left_survives_growth_and_moving() {
        let mut buffer = Buffer::with(b"abc");
        buffer.take(2);
        fill(&mut buffer, &vec![b'x'; BUFFER_BYTES]);
        fill(&mut buffer, b"end");
        assert_eq!(buffer.data().len(), 1 + BUFFER_BYTES + 3);
        assert!(buffer.data().starts_with(b"cx") && buffer.data().ends_with(b"xend"));
    }

    #[test]
    fn it_shrinks_after_some_calm_and_not_at_once() {
        let mut buffer = Buffer::default();
        fill(&mut buffer, &vec![0; 10 * BUFFER_BYTES]);
        for round in 0..SHRINK_AFTER {
            assert!(buffer.bytes.len() > BUFFER_BYTES, "round {round}");
            buffer.take(buffer.data().len());
            buffer.room(1);
            buffer.filled(1);
        }
        assert_eq!(buffer.bytes.len(), BUFFER_BYTES);
    }
}
