//! Splitting a stream of bytes into lines of bounded length.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::{KEPT_OF_TOO_LONG_BYTES, LONG_LINE_BYTES, MAX_GROWTH_BYTES};

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// All of it.
    Whole(Bytes),
    /// It was longer than allowed: its beginning.
    TooLong(Bytes),
}

/// Splits a stream at line feeds.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// How many bytes of the buffer are known to hold no line feed.
    searched: usize,
    skipping: Option<Bytes>,
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Lines { buffer: BytesMut::new(), searched: 0, skipping: None, limit }
    }

    /// The buffer to read into, with at least a quarter of `chunk` free. The room that one read leaves serves the
    /// next, so that small reads do not allocate. It grows with a long line, so that the line is copied few times.
    pub fn room(&mut self, chunk: usize) -> &mut BytesMut {
        let wanted = chunk.max(self.buffer.len().min(MAX_GROWTH_BYTES));
        if self.buffer.capacity() - self.buffer.len() < chunk / 4 {
            self.buffer.reserve(wanted);
        }
        &mut self.buffer
    }

    /// Takes out all lines that are complete; blank ones are left out. A carriage return before the line
    /// feed belongs to the line's end.
    pub fn take(&mut self, lines: &mut Vec<Line>) {
        while let Some(found) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            let mut line = self.split_to(self.searched + found);
            self.buffer.advance(1);
            self.searched = 0;
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if let Some(start) = self.skipping.take() {
                lines.push(Line::TooLong(start));
            } else if line.len() > self.limit {
                lines.push(Line::TooLong(Bytes::copy_from_slice(
                    &line[..KEPT_OF_TOO_LONG_BYTES.min(line.len())],
                )));
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                lines.push(Line::Whole(line.freeze()));
            }
        }
        self.searched = self.buffer.len();
        if self.buffer.len() > self.limit {
            if self.skipping.is_none() {
                self.skipping = Some(Bytes::copy_from_slice(
                    &self.buffer[..KEPT_OF_TOO_LONG_BYTES.min(self.buffer.len())],
                ));
            }
            self.buffer = BytesMut::new();
            self.searched = 0;
        }
    }

    fn split_to(&mut self, length: usize) -> BytesMut {
        if length < LONG_LINE_BYTES {
            return self.buffer.split_to(length);
        }
        let rest = BytesMut::from(&self.buffer[length..]);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        line.truncate(length);
        let mut line = Vec::from(line);
        line.shrink_to_fit();
        BytesMut::from(Bytes::from(line))
    }

    /// The rest after the last line feed, unless it is blank. To be called at the end of the stream.
    pub fn rest(&mut self) -> Option<Line> {
        self.searched = 0;
        let rest = self.buffer.split();
        match self.skipping.take() {
            Some(start) => Some(Line::TooLong(start)),
            None if rest.iter().all(u8::is_ascii_whitespace) => None,
            None => Some(Line::Whole(rest.freeze())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.room(64).extend_from_slice(chunk);
            lines.take(&mut found);
        }
        found
    }

    fn whole(text: &str) -> Line {
        Line::Whole(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines_are_found_however_the_bytes_arrive() {
        let text = b"one\r\ntwo\n\n  \nthree\n";
        let expected = [whole("one"), whole("two"), whole("three")];
        assert_eq!(split(&[text], 100), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes, 100), expected);
        assert_eq!(split(&[b"no end"], 100), []);
    }

    #[test]
    fn a_long_line_takes_the_room_for_it_and_no_more() {
        let mut lines = Lines::new(2 * MAX_GROWTH_BYTES);
        lines.room(64).extend_from_slice(b"short\n");
        lines.room(8 * LONG_LINE_BYTES).resize(6 + LONG_LINE_BYTES, b'x');
        lines.room(64).extend_from_slice(b"\r\nnext\n");
        let mut found = Vec::new();
        lines.take(&mut found);
        let [short, Line::Whole(long), next] = &found[..] else { panic!("three lines: {}", found.len()) };
        assert_eq!((short, long.len(), next), (&whole("short"), LONG_LINE_BYTES, &whole("next")));
        let long = long.clone();
        drop(found);
        assert!(lines.room(64).capacity() < LONG_LINE_BYTES, "{}", lines.buffer.capacity());
        let held = BytesMut::from(long).capacity();
        assert!(held <= LONG_LINE_BYTES + 1, "a line of {LONG_LINE_BYTES} bytes holds {held}");
    }

    #[test]
    fn what_has_no_end_is_the_rest() {
        let mut lines = Lines::new(8);
        let mut found = Vec::new();
        assert_eq!(lines.rest(), None);
        lines.room(64).extend_from_slice(b"one\nfatal");
        lines.take(&mut found);
        assert_eq!((found.len(), lines.rest(), lines.rest()), (1, Some(whole("fatal")), None));
        lines.room(64).extend_from_slice(b"longer than eight");
        lines.take(&mut found);
        assert!(matches!(lines.rest(), Some(Line::TooLong(start)) if &start[..] == b"longer than eight"));
        lines.room(64).extend_from_slice(b"two\n \r");
        lines.take(&mut found);
        assert_eq!((&found[1..], lines.rest()), (&[whole("two")][..], None));
    }

    #[test]
    fn small_reads_share_one_allocation() {
        let mut lines = Lines::new(1000);
        let mut found = Vec::new();
        let start = lines.room(64 * 1024).as_ptr() as usize;
        for _ in 0..1000 {
            let room = lines.room(64 * 1024);
            assert!((start..start + 64 * 1024).contains(&(room.as_ptr() as usize)));
            room.extend_from_slice(b"a small message\n");
            lines.take(&mut found);
        }
        assert_eq!(found.len(), 1000);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end_and_the_next_is_fine() {
        let long = [b'x'; 50];
        let found = split(&[b"a\n", &long, &long, b"tail\nb\n"], 60);
        assert_eq!(found.len(), 3);
        assert_eq!((&found[0], &found[2]), (&whole("a"), &whole("b")));
        assert!(matches!(&found[1], Line::TooLong(start) if start.starts_with(b"xxx")));
        assert_eq!(split(&[&[b'y'; 70], b"\nz\n"], 60)[1], whole("z"));
    }
}
