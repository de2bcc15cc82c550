//! Tells the output of a server apart: messages, text that was meant to be a message, and text for people.
//!
//! Official SDKs log text that is no message and go on, and the caller waits until its timeout. exai tells the caller at
//! once. A line counts as a garbled message only if it shows the marks of one: servers print all kinds of text, JSON
//! included, where only messages should be.

use bytes::Bytes;
use exai_proto::envelope::Peek;
use exai_proto::json::JsonError;
use exai_proto::{Id, Message, ParseError, envelope};

/// How many bytes of a text are read, and how many of an unfinished one are kept.
const LOOK: usize = 64 * 1024;
/// How many characters of it are shown.
const SHOWN: usize = 120;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// The beginning of a message behind other text on the same line.
const BEGINS: &[u8] = b"{\"jsonrpc\"";

/// One piece of output.
#[derive(Debug)]
pub(crate) enum Said {
    Message(Message),
    Garbled(Garbled),
    /// Text for people.
    Text(Bytes),
}

/// Text that was meant to be a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Garbled {
    pub(crate) id: Option<Id>,
    /// Whether it was meant to be a request or notification. Otherwise it was meant to be an answer.
    pub(crate) asks: bool,
    pub(crate) fault: String,
    /// The beginning of the text, for people.
    pub(crate) start: String,
}

impl Garbled {
    /// A sentence that reads after "the server".
    pub(crate) fn sentence(&self) -> String {
        format!("sent what is no valid message ({}): {}", self.fault, self.start)
    }
}

/// Tells a whole text apart. The messages of a batch come one by one.
pub(crate) fn read(bytes: &Bytes, said: &mut Vec<Said>) {
    match Message::of_server(bytes.clone()) {
        Ok(message) => said.push(Said::Message(message)),
        Err(ParseError::Batch) => match envelope::split_batch(bytes) {
            Ok(parts) => said.extend(parts.iter().map(|part| match Message::of_server(part.clone()) {
                Ok(message) => Said::Message(message),
                Err(error) => judge(part, &error),
            })),
            Err(error) => said.push(judge(bytes, &error)),
        },
        Err(error) => said.push(judge(bytes, &error)),
    }
}

/// Judges bytes that are no message.
pub(crate) fn judge(bytes: &Bytes, error: &ParseError) -> Said {
    let look = &bytes[..bytes.len().min(LOOK)];
    let text = look.strip_prefix(BOM).unwrap_or(look).trim_ascii_start();
    let peek = Peek::at(text);
    if peek.version || (peek.id.is_some() && peek.answers && !peek.more) {
        let whole = bytes.strip_prefix(BOM).map(Bytes::copy_from_slice).map(Message::of_server);
        let fault = match whole {
            Some(Ok(_)) => "a byte order mark stands before it".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => error.to_string(),
        };
        return Said::Garbled(Garbled { id: peek.id, asks: peek.asks, fault, start: visible(look) });
    }
    if let Some(at) = memchr::memmem::find(look, BEGINS).filter(|at| *at > 0) {
        let Peek { id, asks, .. } = Peek::at(&look[at..]);
        let fault = "something else stands before it".to_owned();
        return Said::Garbled(Garbled { id, asks, fault, start: visible(look) });
    }
    Said::Text(bytes.clone())
}

/// The beginning of a text, without characters that a terminal would obey.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let mut shown = String::new();
    for letter in text.chars().take(SHOWN) {
        let obeyed = letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if obeyed { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

/// Reads the lines of one server, and puts together a message that spans several lines.
#[derive(Debug, Default)]
pub(crate) struct OutputReader {
    held: Option<Held>,
}

/// The beginning of an object that goes on in the next line.
#[derive(Debug)]
struct Held {
    text: Vec<u8>,
    nesting: Nesting,
}

impl OutputReader {
    /// Reads the next line.
    pub(crate) fn line(&mut self, line: &Bytes, said: &mut Vec<Said>) {
        match Message::of_server(line.clone()) {
            Ok(message) => {
                said.extend(self.end());
                said.push(Said::Message(message));
            }
            Err(_) if self.held.is_some() => self.goes_on(line, said),
            Err(ParseError::Json(JsonError::Incomplete)) if goes_on(line) => {
                self.held = Some(Held { text: Vec::new(), nesting: Nesting::default() });
                self.goes_on(line, said);
            }
            Err(_) => read(line, said),
        }
    }

    fn goes_on(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some(held) = &mut self.held else { return };
        held.text.extend_from_slice(line);
        held.text.push(b'\n');
        held.nesting.take(line);
        if held.nesting.depth == 0 || held.text.len() > LOOK {
            said.extend(self.end());
        }
    }

    /// Ends an object that does not go on.
    pub(crate) fn end(&mut self) -> Option<Said> {
        let mut text = self.held.take()?.text;
        text.pop();
        let text = Bytes::from(text);
        Some(match Message::of_server(text.clone()) {
            Ok(_) => {
                let Peek { id, asks, .. } = Peek::at(&text);
                let fault = "it is written over several lines".to_owned();
                Said::Garbled(Garbled { id, asks, fault, start: visible(&text) })
            }
            Err(error) => judge(&text, &error),
        })
    }
}

/// Whether this looks like the first line of an object of several lines. A message that was cut off is answered at once,
/// and so is one whose id is known already.
fn goes_on(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
        && matches!(line.trim_ascii_end().last(), Some(b'{' | b'[' | b','))
        && line.len() <= LOOK
        && Peek::at(line).id.is_none()
}

/// The nesting depth of objects and arrays at the end of a text.
#[derive(Debug, Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    fn take(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&[u8]]) -> Vec<String> {
        let (mut reader, mut said) = (OutputReader::default(), Vec::new());
        for line in lines {
            reader.line(&Bytes::copy_from_slice(line), &mut said);
        }
        said.extend(reader.end());
        let tell = |said: Said| match said {
            Said::Message(message) => format!("message {}", String::from_utf8_lossy(message.bytes())),
            Said::Garbled(garbled) => {
                let what = if garbled.asks { "question" } else { "answer" };
                format!("{what} {:?}: {}", garbled.id.unwrap_or_else(Id::null), garbled.fault)
            }
            Said::Text(text) => format!("text {}", String::from_utf8_lossy(&text)),
        };
        said.into_iter().map(tell).collect()
    }

    #[test]
    fn what_shows_the_marks_of_a_message_is_one_that_went_wrong_and_all_else_is_text() {
        let cases: [(&[u8], &str); 17] = [
            (
                b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}",
                "answer 7: a byte order mark stands before it",
            ),
            (b"{\"id\":7,\"result\":{}}", "answer 7: \"jsonrpc\" must be \"2.0\""),
            (b"{\"jsonrpc\":\"2.0\",\"result\":{}}", "answer null: an answer must have an id"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":null}", "answer 7: a result must be an object"),
            (
                b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\x01\"}}",
                "answer 7: not valid JSON at byte 39",
            ),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}} x", "answer 7: not valid JSON at byte 36"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":", "answer 7: the JSON text ends too early"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":7}", "question 7: a method must be a plain string"),
            (
                b"Loading... {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}",
                "answer 7: something else stands before it",
            ),
            (b"[1,{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":{}}]", "text 1"),
            (b"[INFO] ready", "text [INFO] ready"),
            (b"usage: server [options]", "text usage: server [options]"),
            (
                b"{\"level\":\"info\",\"message\":\"ready\"}",
                "text {\"level\":\"info\",\"message\":\"ready\"}",
            ),
            (
                b"{\"level\":\"error\",\"id\":7,\"error\":\"no\"}",
                "text {\"level\":\"error\",\"id\":7,\"error\":\"no\"}",
            ),
            (b"{'jsonrpc': '2.0'}", "text {'jsonrpc': '2.0'}"),
            (b"7", "text 7"),
            (b"{", "text {"),
        ];
        for (line, expected) in cases {
            let told = told(&[line]);
            assert_eq!(told[0], expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_message_over_several_lines_is_put_together_and_one_of_its_own_ends_it() {
        let pretty = "{\n  \"jsonrpc\": \"2.0\",\n  \"result\": {\"a\": \"}\"},\n  \"id\": 7\n}\n{\"jsonrpc\":\"2.0\",\"method\":\"x\"}";
        let lines: Vec<&[u8]> = pretty.lines().map(str::as_bytes).collect();
        let message = "message {\"jsonrpc\":\"2.0\",\"method\":\"x\"}";
        assert_eq!(told(&lines), ["answer 7: it is written over several lines", message]);
        assert_eq!(
            told(&[b"{", b"debug", b"{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"]),
            ["text {\ndebug", message]
        );
        let endless: Vec<&[u8]> = [&b"{\"jsonrpc\":\"2.0\","[..], b"\"id\":7,"]
            .into_iter()
            .chain(std::iter::repeat_n(&b"\"aaaaaaaaaaaaaaaaaaaaaaaa\":[0],"[..], 3000))
            .collect();
        let told = told(&endless);
        assert_eq!(told[0], "answer 7: the JSON text ends too early");
        assert!(told[1].starts_with("text "), "{}", told[1]);
    }

    #[test]
    fn nothing_that_is_shown_is_obeyed() {
        assert_eq!(visible(b"a\x1b[2J\xe9\xe2\x80\xae"), "a\\u{1b}[2J\u{fffd}\\u{202e}");
        assert_eq!(visible("é".repeat(500).as_bytes()).chars().count(), SHOWN);
    }
}
