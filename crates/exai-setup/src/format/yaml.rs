//! YAML, read into a [`Value`].
//!
//! The events of the parser are put together here, so that aliases cannot make a small file large.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::depth::{MAX_DEPTH, TOO_DEEP};
use super::error::ParseError;
use crate::Value;

/// The most bytes that the values of a file may take in memory, about.
const MAX_COST: usize = 128 * 1024 * 1024;

/// What a value takes beside its text.
const VALUE_COST: usize = 64;

/// Reads the first document of a text. `None` if it holds no value.
pub(crate) fn parse(text: &str) -> Result<Option<Value>, ParseError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| at(error.marker(), error.info()))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event).map_err(|message| at(&span.start, message))?;
    }
    Ok(builder.result.filter(|value| *value != Value::Null))
}

fn at(marker: &Marker, message: &str) -> ParseError {
    ParseError { line: marker.line(), column: marker.col() + 1, message: message.to_owned() }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// Each value with an anchor, and its cost.
    anchors: BTreeMap<usize, (Value, usize)>,
    cost: usize,
    result: Option<Value>,
}

/// A list or a map that has begun.
struct Open {
    anchor: usize,
    value: Value,
    key: Key,
    /// The cost of everything before it.
    cost_before: usize,
}

/// What has come of a pair of a map.
#[derive(Default)]
enum Key {
    /// Nothing: the next value is a key.
    #[default]
    Awaited,
    /// The key: the next value is its value.
    Read(String),
    /// A key that is a list or a map, which no client has. Its value is left out.
    Unusable,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let cost_before = self.cost;
                self.pay(text.len())?;
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if is_plain { read_plain(&text) } else { Value::text(text) };
                self.close(value, anchor, cost_before)
            }
            Event::Alias(anchor) => {
                let (value, cost) =
                    self.anchors.get(&anchor).ok_or("an alias names an anchor that holds itself")?;
                let cost_before = self.cost;
                // Before the copy is made.
                self.cost = check_cost(self.cost.saturating_add(*cost))?;
                let value = value.clone();
                self.close(value, 0, cost_before)
            }
            Event::SequenceStart(anchor, _) => self.begin(Value::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(Value::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open.value, open.anchor, open.cost_before),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, value: Value, anchor: usize) -> Result<(), &'static str> {
        if self.open.len() >= MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        let cost_before = self.cost;
        self.pay(0)?;
        self.open.push(Open { anchor, value, key: Key::Awaited, cost_before });
        Ok(())
    }

    fn pay(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.cost = check_cost(self.cost.saturating_add(VALUE_COST + bytes))?;
        Ok(())
    }

    /// Puts a whole value where it belongs.
    fn close(&mut self, value: Value, anchor: usize, cost_before: usize) -> Result<(), &'static str> {
        if anchor > 0 {
            let cost = self.cost - cost_before;
            self.cost = check_cost(self.cost.saturating_add(cost))?;
            self.anchors.insert(anchor, (value.clone(), cost));
        }
        let Some(open) = self.open.last_mut() else {
            self.result.get_or_insert(value);
            return Ok(());
        };
        match (&mut open.value, std::mem::take(&mut open.key)) {
            (Value::Map(pairs), Key::Read(key)) => pairs.push((key, value)),
            (Value::Map(_), Key::Awaited) => {
                open.key = value.to_plain_text().map_or(Key::Unusable, Key::Read);
            }
            (Value::List(elements), _) => elements.push(value),
            _ => {}
        }
        Ok(())
    }
}

fn check_cost(cost: usize) -> Result<usize, &'static str> {
    if cost > MAX_COST { Err("the file holds too many values") } else { Ok(cost) }
}

/// What a text without quotes is by the core schema: <https://yaml.org/spec/1.2.2/#103-core-schema>.
pub(super) fn read_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => {
            let starts_like_one =
                text.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit());
            if starts_like_one && text.parse::<f64>().is_ok() {
                Value::Number(text.to_owned())
            } else {
                Value::text(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_file_is_read_with_its_types() {
        let text = "a: &x [1, '1', true, ~, 1.2.3]\nb: *x\nc:\n  d: |\n    e\n  ? [f]\n  : g\n---\nh: 1\n";
        let list = Value::List(vec![
            Value::Number("1".to_owned()),
            Value::text("1"),
            Value::Bool(true),
            Value::Null,
            Value::text("1.2.3"),
        ]);
        let expected =
            Value::map([("a", list.clone()), ("b", list), ("c", Value::map([("d", Value::text("e\n"))]))]);
        assert_eq!(parse(text), Ok(Some(expected)));
        assert_eq!(parse("# nothing\n"), Ok(None));
    }

    #[test]
    fn a_broken_file_is_placed() {
        let error = parse("a: 1\nb: [2\nc: }\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
        assert!(parse("a: &b [*b]\n").is_err());
    }

    #[test]
    fn a_small_file_cannot_become_large() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
        }
        assert_eq!(parse(&text).unwrap_err().message, "the file holds too many values");
    }

    #[test]
    fn a_deep_file_is_an_error_and_no_overflow() {
        assert_eq!(parse(&"[".repeat(100)).unwrap_err().message, "the values are nested too deeply");
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
    }
}
