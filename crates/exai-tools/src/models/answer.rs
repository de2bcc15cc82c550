//! An answer while it comes: bytes of a body in, text out. Pure.

use serde_json::Value;

use super::chunk::{Chunk, End};
use super::event_stream::{Event, EventStream};
use super::fault::Fault;
use super::foreign_text::Cleaner;
use super::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES, MAX_LINE_BYTES};
use super::refusal::explain_within;
use super::request::{Finish, Usage};
use super::thoughts::{Parted, Thoughts};

/// Reads the body of an answer: a stream of events or one completion, whatever its `Content-Type` says.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    cleaner: Cleaner,
    form: Form,
    /// The first bytes, to be quoted where they are no answer.
    beginning: Vec<u8>,
    bytes: usize,
    /// Whether an event of a stream has come.
    has_heard: bool,
    thoughts: Thoughts,
    thought_bytes: usize,
    /// What has come of the answer.
    pub(crate) text: String,
    /// How many characters that is.
    pub(crate) chars: usize,
    /// How many characters of thoughts have come.
    pub(crate) thought_chars: usize,
    end: Option<End>,
    usage: Option<Usage>,
    model: Option<String>,
}

/// What the body is.
#[derive(Debug)]
enum Form {
    /// Nothing but white space so far.
    Unknown,
    Events(EventStream),
    /// A JSON document in one piece, as far as it has come.
    Document(Vec<u8>),
    /// Something else.
    Other,
    /// Nothing more is expected.
    Over,
}

/// What has come with the last bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// New text of the answer.
    pub(crate) text: String,
    /// Whether there is anything new at all, thoughts included.
    pub(crate) is_any: bool,
    /// The answer is complete, whatever else comes.
    pub(crate) is_over: bool,
}

/// A complete answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Whole {
    /// The text.
    pub(crate) text: String,
    /// Why it ends.
    pub(crate) finish: Finish,
    /// What it has cost.
    pub(crate) usage: Option<Usage>,
    /// The model, as the endpoint calls it, if it does.
    pub(crate) model: Option<String>,
}

/// How much of the beginning of a body is kept.
const QUOTED_BYTES: usize = 4096;

impl AnswerReader {
    /// A reader that takes secrets out of errors with `cleaner`.
    pub(crate) fn new(cleaner: Cleaner) -> Self {
        AnswerReader {
            cleaner,
            form: Form::Unknown,
            beginning: Vec::new(),
            bytes: 0,
            has_heard: false,
            thoughts: Thoughts::default(),
            thought_bytes: 0,
            text: String::new(),
            chars: 0,
            thought_chars: 0,
            end: None,
            usage: None,
            model: None,
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<News, Fault> {
        self.bytes += bytes.len();
        if self.bytes > MAX_BODY_BYTES {
            return Err(too_long("the body of the answer", MAX_BODY_BYTES));
        }
        let room = QUOTED_BYTES.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut news = News::default();
        if matches!(self.form, Form::Unknown) {
            let begun = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
            self.form = match begun.first() {
                None => return Ok(news),
                Some(b'{' | b'[') => Form::Document(Vec::new()),
                // `data:`, `event:`, `id:`, `retry:`, `error:` and comments. The word may still be cut.
                Some(b'd' | b'e' | b'i' | b'r' | b':') => Form::Events(EventStream::default()),
                Some(_) => Form::Other,
            };
        }
        match &mut self.form {
            Form::Events(stream) => {
                let mut events = Vec::new();
                let line_too_long = |_| too_long("a line of the stream", MAX_LINE_BYTES);
                stream.push(bytes, |event| events.push(event)).map_err(line_too_long)?;
                for event in events {
                    if !news.is_over {
                        self.hear(event, &mut news)?;
                    }
                }
            }
            Form::Document(document) => {
                if document.len() + bytes.len() > MAX_ANSWER_BYTES {
                    return Err(too_long("the answer", MAX_ANSWER_BYTES));
                }
                document.extend_from_slice(bytes);
            }
            // The first line of a page is enough.
            Form::Other if self.bytes >= QUOTED_BYTES => return Err(self.cleaner.nonsense(&self.beginning)),
            Form::Unknown | Form::Other | Form::Over => {}
        }
        Ok(news)
    }

    /// Takes the end of the body. `broken` says why it is no orderly one. What is new with it, such as a completion in one
    /// piece, is in `news`.
    pub(crate) fn finish(&mut self, broken: Option<String>, news: &mut News) -> Result<Whole, Fault> {
        match std::mem::replace(&mut self.form, Form::Over) {
            Form::Events(mut stream) if broken.is_none() => {
                if let Some(event) = stream.finish() {
                    self.hear(event, news)?;
                }
            }
            Form::Document(document) if broken.is_none() => {
                let Ok(parsed) = serde_json::from_slice::<Value>(&document) else {
                    return Err(self.cleaner.nonsense(&document));
                };
                if parsed["choices"][0].is_null() && Chunk::read(&parsed).error.is_none() {
                    return Err(self.cleaner.nonsense(&document));
                }
                self.read(&parsed, news)?;
                // A completion in one piece is complete, with or without a reason.
                self.end.get_or_insert(End::Finished(Finish::Complete));
            }
            Form::Other => return Err(self.cleaner.nonsense(&self.beginning)),
            _ => {}
        }
        if broken.is_none() && !self.has_heard {
            return Err(self.cleaner.nonsense(&self.beginning));
        }
        let held = self.thoughts.finish();
        self.add(held, news)?;
        match self.end.take() {
            Some(End::Failed(word)) => Err(Fault::Broke { said: self.cleaner.clean(&word) }),
            Some(End::Finished(finish)) => self.whole(finish),
            None => Err(Fault::Cut { why: broken.unwrap_or_default() }),
        }
    }

    fn whole(&mut self, finish: Finish) -> Result<Whole, Fault> {
        if self.text.trim().is_empty() {
            return Err(match finish {
                Finish::Filtered => Fault::Filtered { said: String::new() },
                finish => Fault::Empty { is_cut: finish == Finish::Length },
            });
        }
        let text = std::mem::take(&mut self.text);
        Ok(Whole { text, finish, usage: self.usage, model: self.model.take() })
    }

    fn hear(&mut self, event: Event, news: &mut News) -> Result<(), Fault> {
        match event {
            Event::Done => {
                self.has_heard = true;
                news.is_over = true;
                // Some endpoints give no reason; `[DONE]` says that nothing is missing.
                self.end.get_or_insert(End::Finished(Finish::Complete));
                self.form = Form::Over;
                Ok(())
            }
            Event::Data(data) => match serde_json::from_str(&data) {
                Ok(document) => self.read(&document, news),
                Err(_) => Err(self.cleaner.nonsense(data.as_bytes())),
            },
        }
    }

    fn read(&mut self, document: &Value, news: &mut News) -> Result<(), Fault> {
        self.has_heard = true;
        let chunk = Chunk::read(document);
        let before = self.thoughts.part(&chunk.text);
        self.add(before, news)?;
        self.add(Parted { thought: chunk.thought, answer: String::new() }, news)?;
        if let Some(error) = &chunk.error {
            return Err(explain_within(error, &self.cleaner));
        }
        self.end = chunk.end.or(self.end.take());
        self.usage = chunk.usage.or(self.usage);
        // The name is kept as it was told first, and only if it can be shown.
        if self.model.is_none() {
            self.model = chunk.model.map(|name| self.cleaner.clean(&name));
        }
        Ok(())
    }

    fn add(&mut self, parted: Parted, news: &mut News) -> Result<(), Fault> {
        self.thought_bytes += parted.thought.len();
        self.thought_chars += parted.thought.chars().count();
        self.chars += parted.answer.chars().count();
        news.is_any |= !parted.thought.is_empty() || !parted.answer.is_empty();
        news.text.push_str(&parted.answer);
        self.text.push_str(&parted.answer);
        if self.text.len().max(self.thought_bytes) > MAX_ANSWER_BYTES {
            return Err(too_long("the answer", MAX_ANSWER_BYTES));
        }
        Ok(())
    }
}

fn too_long(what: &'static str, max_bytes: usize) -> Fault {
    Fault::TooLong { what, max_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a body that comes in these pieces, and the text that was told with each.
    fn read(pieces: &[&[u8]], broken: Option<&str>) -> (Result<Whole, Fault>, String) {
        let mut reader = AnswerReader::new(Cleaner::default());
        let mut told = String::new();
        for piece in pieces {
            match reader.push(piece) {
                Ok(news) => told.push_str(&news.text),
                Err(fault) => return (Err(fault), told),
            }
        }
        let mut news = News::default();
        let whole = reader.finish(broken.map(ToOwned::to_owned), &mut news);
        (whole, told + &news.text)
    }

    fn code(body: &str) -> &'static str {
        read(&[body.as_bytes()], None).0.unwrap_err().code()
    }

    const CHUNK: &str = r#"data: {"model":"m","choices":[{"delta":{"content":"hé"},"finish_reason":null}]}"#;
    const END: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"length"}]}"#;

    #[test]
    fn a_stream_is_told_as_it_comes() {
        let body = format!("{CHUNK}\n\n{CHUNK}\n\n{END}\n\ndata: [DONE]\n\n");
        for size in [1, 7, 10_000] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (whole, told) = read(&pieces, None);
            let whole = whole.unwrap();
            assert_eq!((&*whole.text, &*told, whole.finish), ("héhé", "héhé", Finish::Length));
            assert_eq!(whole.model.as_deref(), Some("m"));
        }
    }

    #[test]
    fn a_completion_in_one_piece_is_an_answer() {
        let body = br#" {"choices":[{"message":{"content":"<think>t</think>a"},"finish_reason":"stop"}],
                      "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let (whole, told) = read(&[&body[..9], &body[9..]], None);
        let whole = whole.unwrap();
        assert_eq!((&*whole.text, &*told, whole.usage), ("a", "a", Some(Usage { input: 1, output: 2 })));
    }

    #[test]
    fn the_end_of_a_stream_is_what_says_that_it_is_complete() {
        let ends = |body: String, broken| read(&[body.as_bytes()], broken).0.map_err(|fault| fault.code());
        assert_eq!(ends(format!("{CHUNK}\n\n"), None).unwrap_err(), "stream_cut");
        assert_eq!(ends(format!("{CHUNK}\n\n"), Some("reset")).unwrap_err(), "stream_cut");
        assert_eq!(ends(String::new(), Some("reset")).unwrap_err(), "stream_cut");
        // Without `[DONE]`, and even without an orderly end, a reason is enough.
        assert!(ends(format!("{CHUNK}\n\n{END}\n\n"), None).is_ok());
        assert!(ends(format!("{CHUNK}\n\n{END}\n\n"), Some("reset")).is_ok());
        assert!(ends(format!("{CHUNK}\n\n{END}"), None).is_ok());
        assert_eq!(ends(format!("{CHUNK}\n\ndata: [DONE]\n\n"), None).unwrap().finish, Finish::Complete);
    }

    #[test]
    fn what_is_no_answer_is_called_by_its_name() {
        for (body, expected) in [
            ("<!DOCTYPE html>\n<html>", "nonsense"),
            ("", "nonsense"),
            ("Hello", "nonsense"),
            ("internal error", "nonsense"),
            ("error code: 524", "nonsense"),
            (r#"{"choices":"#, "nonsense"),
            (r#"{"ok":true}"#, "nonsense"),
            ("data: {broken\n\n", "nonsense"),
            (r#"{"error":{"message":"context length exceeded"}}"#, "context_overflow"),
            ("data: {\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n", "stream_failed"),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"network_error\"}]}\n\n", "stream_failed"),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"sensitive\"}]}\n\n", "content_filtered"),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", "empty_answer"),
            ("data: [DONE]\n\n", "empty_answer"),
        ] {
            assert_eq!(code(body), expected, "{body:?}");
        }
        let (fault, _) = read(&[b"<!DOCTYPE html>\n\x1b[2J<html>"], None);
        let expected = "a web page came in place of an answer: \"<!DOCTYPE html>\"";
        assert_eq!(fault.unwrap_err().to_string(), expected);
    }

    #[test]
    fn an_answer_has_a_bound() {
        let text = "x".repeat(1 << 19);
        let chunk = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
        let pieces = vec![chunk.as_bytes(); 17];
        assert_eq!(read(&pieces, None).0.unwrap_err().code(), "answer_too_large");
        let thoughts = chunk.replace("content", "reasoning");
        let pieces = vec![thoughts.as_bytes(); 17];
        assert_eq!(read(&pieces, None).0.unwrap_err().code(), "answer_too_large");
    }
}
