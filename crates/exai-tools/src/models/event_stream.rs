//! Server-sent events as model endpoints send them: a parser that takes the bytes as they come.
//!
//! Source of the format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>. Of its
//! fields only `data` matters here, and `error`, which older llama.cpp servers send in its place. Unlike in a browser
//! each `data` line is an event of its own: every endpoint writes its JSON in one line, and some forget the empty line
//! behind it.

use memchr::memchr2;

use super::limits::MAX_LINE_BYTES;

/// What one line of a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The value of a `data` or an `error` line.
    Data(String),
    /// `data: [DONE]`: nothing comes after it.
    Done,
}

/// A line is longer than [`MAX_LINE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineTooLong;

/// The parser. It keeps the beginning of a line until its end comes.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    line: Vec<u8>,
    /// The last line ended in a carriage return, so that a line feed at the beginning of what comes next is its rest.
    ends_in_return: bool,
}

impl EventStream {
    /// Takes the next bytes, wherever they are split, and gives the events that are complete now to `found`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut found: impl FnMut(Event)) -> Result<(), LineTooLong> {
        let mut rest = bytes;
        if self.ends_in_return && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.ends_in_return = false;
        }
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            self.keep(&rest[..at])?;
            found_in(&self.line).into_iter().for_each(&mut found);
            self.line.clear();
            let is_return = rest[at] == b'\r';
            rest = &rest[at + 1..];
            if is_return {
                self.ends_in_return = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.keep(rest)
    }

    /// The event of a last line whose end never came.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        found_in(&line)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), LineTooLong> {
        if self.line.len() + part.len() > MAX_LINE_BYTES {
            return Err(LineTooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }
}

/// The event of a whole line. Comments, empty lines and other fields are none.
fn found_in(line: &[u8]) -> Option<Event> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let value = line.strip_prefix(b"data:").or_else(|| line.strip_prefix(b"error:"))?.trim_ascii();
    match value {
        b"" => None,
        b"[DONE]" => Some(Event::Done),
        value => Some(Event::Data(String::from_utf8_lossy(value).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut stream, mut events) = (EventStream::default(), Vec::new());
        for piece in pieces {
            stream.push(piece, |event| events.push(event)).unwrap();
        }
        events.extend(stream.finish());
        events
    }

    fn data(text: &str) -> Event {
        Event::Data(text.to_owned())
    }

    #[test]
    fn lines_become_events() {
        for (text, expected) in [
            ("data: a\n\n", vec![data("a")]),
            ("data:a\r\n\r\n", vec![data("a")]),
            ("data: a\rdata: b\r", vec![data("a"), data("b")]),
            (": OPENROUTER PROCESSING\n\ndata: a\n\n", vec![data("a")]),
            ("event: x\nid: 1\nretry: 5\ndata: a\n\ndata: [DONE]\n\n", vec![data("a"), Event::Done]),
            ("error: {\"code\":500}\n", vec![data("{\"code\":500}")]),
            ("\u{feff}data: a\n", vec![data("a")]),
            ("data: a\ndata: b\n", vec![data("a"), data("b")]),
            ("data: the end is missing", vec![data("the end is missing")]),
            ("data:\n\n\n\n", vec![]),
            ("database: x\ndata\n", vec![]),
        ] {
            assert_eq!(events(&[text.as_bytes()]), expected, "{text:?}");
        }
        assert_eq!(events(&[b"data: \xff\n"]), [data("\u{fffd}")]);
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut stream = EventStream::default();
        let mut push = |bytes: &[u8]| stream.push(bytes, |_| {});
        push(b"data: ").unwrap();
        push(&vec![b'x'; MAX_LINE_BYTES - 6]).unwrap();
        assert_eq!(push(b"x"), Err(LineTooLong));
    }

    proptest! {
        /// Wherever the network splits a stream, its events are the same.
        #[test]
        fn any_split_gives_the_same_events(
            lines in prop::collection::vec("(data:|error:|: |event:|)[ ]?[a-zä\\[\\]]{0,6}(\n|\r|\r\n)", 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&pieces), events(&[bytes]));
        }
    }
}
