//! Reads an event stream (`text/event-stream`) as the HTML standard defines it.

use crate::limits::{MAX_EVENT_ID_BYTES, MAX_KEPT_EVENT_BYTES};

/// One event with content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A message, without its line breaks.
    Message(Vec<u8>),
    /// A message that is longer than the bound; this is its start.
    TooLong(Vec<u8>),
    /// The HTTP+SSE transport: where messages are to be posted.
    Endpoint(Vec<u8>),
}

/// What the name of an event says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Message,
    Endpoint,
    /// Nothing that MCP knows. Such an event is dropped.
    Foreign,
}

impl Kind {
    fn named(name: &[u8]) -> Self {
        match name {
            b"" | b"message" => Kind::Message,
            b"endpoint" => Kind::Endpoint,
            _ => Kind::Foreign,
        }
    }
}

/// The state of the reader.
#[derive(Debug)]
pub(super) struct Events {
    limit: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return. A line feed after it belongs to the same line end.
    returned: bool,
    begun: bool,
    data: Vec<u8>,
    kind: Kind,
    too_long: bool,
    /// The id of the last event that had one.
    pub(super) last_id: Option<String>,
    /// The pause before a retry that the server asked for, in milliseconds.
    pub(super) retry: Option<u64>,
}

impl Events {
    /// Begins to read a stream whose messages have at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Events {
            limit,
            line: Vec::new(),
            returned: false,
            begun: false,
            data: Vec::new(),
            kind: Kind::default(),
            too_long: false,
            last_id: None,
            retry: None,
        }
    }

    /// Begins to read the continuation of a stream that broke off.
    pub(super) fn resumed(self) -> Self {
        Events { last_id: self.last_id, retry: self.retry, ..Events::new(self.limit) }
    }

    /// Takes the next bytes and appends the events that they complete. An event that the end of the stream cuts off is
    /// dropped.
    pub(super) fn take(&mut self, mut bytes: &[u8], found: &mut Vec<Event>) {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.returned) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            // Beyond the bound only the beginning is kept. A field's name and a space come on top.
            let room = (self.limit + 16).saturating_sub(self.line.len());
            self.too_long |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let Some(end) = end else { return };
            self.returned = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.end_of_line(line, found);
        }
    }

    fn end_of_line(&mut self, line: Vec<u8>, found: &mut Vec<Event>) {
        let mut line = &line[..];
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_of_event(found);
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.data(value),
            b"event" => self.kind = Kind::named(value),
            b"id" if !value.contains(&0) && value.len() <= MAX_EVENT_ID_BYTES => {
                self.last_id = String::from_utf8(value.to_vec()).ok().filter(|id| !id.is_empty());
            }
            b"retry" => {
                self.retry =
                    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).or(self.retry);
            }
            // A comment, or a field that this version does not know.
            _ => {}
        }
    }

    fn data(&mut self, value: &[u8]) {
        // A line break in JSON is white space, and a message that is passed on may not contain one.
        let space = if self.data.is_empty() { &b""[..] } else { b" " };
        if self.data.len() + space.len() + value.len() > self.limit {
            self.too_long = true;
        }
        for part in [space, value] {
            let keep =
                if self.too_long { MAX_KEPT_EVENT_BYTES.saturating_sub(self.data.len()) } else { part.len() };
            self.data.extend_from_slice(&part[..part.len().min(keep)]);
        }
    }

    fn end_of_event(&mut self, found: &mut Vec<Event>) {
        let mut data = std::mem::take(&mut self.data);
        let too_long = std::mem::take(&mut self.too_long);
        let kind = std::mem::take(&mut self.kind);
        if data.is_empty() {
            return;
        }
        if too_long {
            data.truncate(MAX_KEPT_EVENT_BYTES);
        }
        match (kind, too_long) {
            (Kind::Message, false) => found.push(Event::Message(data)),
            (Kind::Message, true) => found.push(Event::TooLong(data)),
            (Kind::Endpoint, _) => found.push(Event::Endpoint(data)),
            (Kind::Foreign, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1 << 20;

    fn all(text: &str, step: usize) -> (Vec<Event>, Events) {
        let mut events = Events::new(100);
        let mut found = Vec::new();
        for chunk in text.as_bytes().chunks(step) {
            events.take(chunk, &mut found);
        }
        (found, events)
    }

    fn message(text: &str) -> Event {
        Event::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn every_ending_every_cut_and_every_field() {
        let text = "\u{feff}: hello\n\nid: 1\ndata:\n\nevent: message\r\ndata: {\"a\":\rdata:  1}\r\r\nretry: 250\nid\n\
                    event: ping\ndata: x\n\nevent: endpoint\r\ndata: /m?s=1\r\n\r\ndata:{}\n\ndata: cut off\n";
        for step in 1..=text.len() {
            let (found, events) = all(text, step);
            let endpoint = Event::Endpoint(b"/m?s=1".to_vec());
            assert_eq!(found, [message("{\"a\":  1}"), endpoint, message("{}")], "in steps of {step}");
            assert_eq!((events.last_id, events.retry), (None, Some(250)));
        }
        assert_eq!(all("id: a\n\n", 1).1.last_id.as_deref(), Some("a"));
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_next_is_whole() {
        let long = format!("data: {{\"id\":1,{}\n\ndata: {{}}\n\n", "x".repeat(300));
        for step in [1, 7, 1000] {
            let (found, events) = all(&long, step);
            assert!(
                matches!(&found[0], Event::TooLong(start) if start.starts_with(b"{\"id\":1,")),
                "{found:?}"
            );
            assert_eq!(found[1..], [message("{}")]);
            assert!(events.line.capacity() < 1000);
        }
        let many = format!("{}\ndata: {{}}\n\n", "data: 0123456789\n".repeat(20));
        let (found, _) = all(&many, 5);
        assert!(matches!(&found[..], [Event::TooLong(_), Event::Message(_)]), "{found:?}");
    }
    #[test]
    fn lines_that_carry_nothing_and_ids_without_end_take_no_room() {
        let mut events = Events::new(100);
        let mut found = Vec::new();
        events.take(b"data: {}\n", &mut found);
        for _ in 0..MAX_KEPT_EVENT_BYTES {
            events.take(b"data:\ndata:\n", &mut found);
        }
        assert!(events.data.len() <= MAX_KEPT_EVENT_BYTES, "{}", events.data.len());
        events.take(b"\ndata: {}\n\n", &mut found);
        assert!(matches!(&found[..], [Event::TooLong(_), Event::Message(_)]), "{}", found.len());
        events.take(format!("id: {}\n", "7".repeat(60)).as_bytes(), &mut found);
        assert_eq!(events.last_id.as_deref().map(str::len), Some(60));
        let mut events = Events::new(MANY);
        events.take(format!("id: {}\n", "7".repeat(MAX_EVENT_ID_BYTES + 1)).as_bytes(), &mut found);
        assert_eq!(events.last_id, None);
    }
}
