//! The lines of a client's stdin.

use std::io::{self, Read};
use std::ops::Range;

use exai_proto::{Id, envelope, limits};

use crate::buffer::Buffer;
use crate::limits::READ_BYTES;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What [`Lines::next_line`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line that is not blank, without its end: a place in [`Lines::data`].
    Whole(Range<usize>),
    /// A line longer than a message may be, with the id of its message if it could be read. Its bytes
    /// are skipped.
    TooLong(Option<Id>),
}

/// Splits what is read into lines. A line stays in place until the next read.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Buffer,
    limit: usize,
    /// Where the next line begins in the data.
    next: usize,
    /// How far the data was searched for a line break.
    searched: usize,
    at_start: bool,
    skipping: bool,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Lines::with_limit(limits::MESSAGE_BYTES)
    }

    fn with_limit(limit: usize) -> Self {
        let buffer = Buffer::default();
        Lines { buffer, limit, next: 0, searched: 0, at_start: true, skipping: false }
    }

    /// Reads once, as much as is available. Returns how many bytes; 0 is the end. Places handed out before are void
    /// after this.
    pub(crate) fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.buffer.take(self.next);
        self.searched -= self.next;
        self.next = 0;
        let count = source.read(self.buffer.room(READ_BYTES))?;
        self.buffer.filled(count);
        Ok(count)
    }

    /// The bytes that the places of lines refer to.
    pub(crate) fn data(&self) -> &[u8] {
        self.buffer.data()
    }

    /// The next line, or `None` when more has to be read first.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        loop {
            let data = self.buffer.data();
            let Some(end) = memchr::memchr(b'\n', &data[self.searched..]).map(|at| self.searched + at) else {
                self.searched = data.len();
                return self.without_an_end();
            };
            let line = self.next..end;
            self.next = end + 1;
            self.searched = end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if let Some(line) = self.trimmed(line) {
                return Some(line);
            }
        }
    }

    /// The rest of an input that has ended: a last line without a line break.
    pub(crate) fn last_line(&mut self) -> Option<Line> {
        let line = self.next..self.buffer.data().len();
        self.next = line.end;
        self.searched = line.end;
        if self.skipping { None } else { self.trimmed(line) }
    }

    fn trimmed(&mut self, mut line: Range<usize>) -> Option<Line> {
        let data = self.buffer.data();
        if std::mem::take(&mut self.at_start) && data[line.clone()].starts_with(BOM) {
            line.start += BOM.len();
        }
        if data[line.clone()].ends_with(b"\r") {
            line.end -= 1;
        }
        if data[line.clone()].iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        if line.len() > self.limit {
            return Some(Line::TooLong(envelope::peek_id(&data[line])));
        }
        Some(Line::Whole(line))
    }

    /// Nothing is kept of a line once it is known to be too long.
    fn without_an_end(&mut self) -> Option<Line> {
        let data = self.buffer.data();
        // One more than the limit for a `\r` that may turn out to belong to the line's end.
        let too_long = !self.skipping && data.len() - self.next > self.limit + BOM.len() + 1;
        let found = too_long.then(|| {
            let line = &data[self.next..];
            Line::TooLong(envelope::peek_id(line.strip_prefix(BOM).unwrap_or(line)))
        });
        if too_long || self.skipping {
            self.skipping = true;
            self.at_start = false;
            self.next = self.searched;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &[u8], step: usize, limit: usize) -> Vec<String> {
        let mut lines = Lines::with_limit(limit);
        let mut found = Vec::new();
        let mut keep = |lines: &Lines, line| match line {
            Line::Whole(place) => found.push(String::from_utf8_lossy(&lines.data()[place]).into_owned()),
            Line::TooLong(id) => found.push(format!("too long: {id:?}")),
        };
        for mut part in input.chunks(step) {
            while lines.read_from(&mut part).unwrap() > 0 {
                while let Some(line) = lines.next_line() {
                    keep(&lines, line);
                }
            }
        }
        while let Some(line) = lines.last_line() {
            keep(&lines, line);
        }
        found
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let input = b"\xEF\xBB\xBF{\"a\":1}\r\n\n  \r\nsecond\n\xEF\xBB\xBFthird\nlast";
        for step in [1, 2, 5, 1000] {
            assert_eq!(split(input, step, 100), ["{\"a\":1}", "second", "\u{feff}third", "last"], "{step}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_once_and_skipped() {
        let long = format!("{{\"id\":7,\"x\":\"{}\"}}\nafter\n", "y".repeat(200));
        for step in [1, 50, 1000] {
            assert_eq!(split(long.as_bytes(), step, 100), ["too long: Some(7)", "after"], "{step}");
        }
        let nameless = format!("{}\nafter\n", "y".repeat(200));
        assert_eq!(split(nameless.as_bytes(), 10, 100), ["too long: None", "after"]);
        assert_eq!(split(nameless.trim_end_matches("after\n").as_bytes(), 10, 100), ["too long: None"]);
    }

    #[test]
    fn the_limit_itself_is_not_too_long() {
        let exact = format!("{}\r\n", "y".repeat(100));
        for step in [1, 1000] {
            assert_eq!(split(exact.as_bytes(), step, 100).len(), 1);
            assert!(split(exact.as_bytes(), step, 100)[0].starts_with('y'));
            assert!(split(format!("y{exact}").as_bytes(), step, 100)[0].starts_with("too long"));
        }
    }
}
