//! How the JSON of a file is laid out: indentation, lines, commas and comments between its members.

use super::json::Container;
use crate::Value;
use crate::text_file::line_end;

/// How members of a file are written.
pub(super) struct Layout {
    /// The line end.
    pub(super) newline: &'static str,
    /// The indentation of one level.
    pub(super) unit: String,
}

impl Layout {
    /// The layout of a text with this outermost container.
    pub(super) fn of(text: &str, root: Option<&Container<'_, '_>>) -> Self {
        let unit = root.and_then(|root| {
            let indent = root.members.iter().find_map(|member| own_indent(text, member.start))?;
            indent.strip_prefix(line_indent(text, root.open))
        });
        let unit = unit.filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned();
        Layout { newline: line_end(text), unit }
    }

    /// A value whose first line stands at `indent`; `None` writes everything in one line.
    pub(super) fn render(&self, value: &Value, indent: Option<&str>) -> String {
        let mut text = String::new();
        self.write(value, indent, &mut text);
        text
    }

    fn write(&self, value: &Value, indent: Option<&str>, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Number(digits) => out.push_str(digits),
            Value::Text(text) => out.push_str(&quote(text)),
            Value::List(elements) => {
                let flat = elements.iter().all(|element| !matches!(element, Value::List(_) | Value::Map(_)));
                let indent = indent.filter(|_| !flat);
                self.write_row(elements.iter().map(|element| (None, element)), ['[', ']'], indent, out);
            }
            Value::Map(pairs) => {
                self.write_row(pairs.iter().map(|(key, value)| (Some(key), value)), ['{', '}'], indent, out);
            }
        }
    }

    fn write_row<'v>(
        &self,
        members: impl Iterator<Item = (Option<&'v String>, &'v Value)>,
        [open, close]: [char; 2],
        indent: Option<&str>,
        out: &mut String,
    ) {
        let inner = indent.map(|indent| format!("{indent}{}", self.unit));
        out.push(open);
        let mut empty = true;
        for (key, value) in members {
            if !empty {
                out.push(',');
            }
            match &inner {
                Some(inner) => {
                    out.push_str(self.newline);
                    out.push_str(inner);
                }
                None if !empty => out.push(' '),
                None => {}
            }
            if let Some(key) = key {
                out.push_str(&quote(key));
                out.push_str(": ");
            }
            self.write(value, inner.as_deref(), out);
            empty = false;
        }
        if let Some(indent) = indent.filter(|_| !empty) {
            out.push_str(self.newline);
            out.push_str(indent);
        }
        out.push(close);
    }
}

/// A text in quotes.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The blanks before `at`, if nothing else is before it in its line. A value in the first line has no line of its own.
pub(super) fn own_indent(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    // Not from the start of the line: a file may be one long line of many members.
    let kept = before.trim_end_matches(is_blank);
    kept.ends_with(['\n', '\r']).then(|| &before[kept.len()..])
}

/// The blanks at the start of the line of `at`.
pub(super) fn line_indent(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let line = &before[before.rfind(['\n', '\r']).map_or(0, |newline| newline + 1)..];
    &line[..line.len() - line.trim_start_matches(is_blank).len()]
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() && !matches!(character, '\n' | '\r')
}

/// The end of what follows a member in its line: behind the last comma or comment, and `from` if there is none. It is never
/// behind a blank, not even at the end of a comment, so that a removal finds the same place.
pub(super) fn scan_tail(text: &str, from: usize, close: usize) -> usize {
    let mut end = from;
    let mut at = from;
    while at < close {
        let rest = text.get(at..close).unwrap_or_default();
        let Some(character) = rest.chars().next() else { break };
        if is_blank(character) {
            at += character.len_utf8();
            continue;
        }
        let length = match comment_length(rest) {
            Some(length) => length,
            None if character == ',' => 1,
            None => break,
        };
        end = at + rest[..length].trim_end().len();
        at += length;
    }
    end
}

/// The length of the comment that a text begins with, if it does.
fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        Some(text.find(['\n', '\r']).unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        Some(text.find("*/").map_or(text.len(), |end| end + 2))
    } else {
        None
    }
}

/// The comma that follows `from`, if nothing but blanks and comments is before it.
pub(super) fn find_comma(text: &str, from: usize, close: usize) -> Option<usize> {
    let mut at = from;
    while at < close {
        let rest = text.get(at..close)?;
        let character = rest.chars().next()?;
        at += match comment_length(rest) {
            Some(length) => length,
            None if character == ',' => return Some(at),
            None if character.is_whitespace() => character.len_utf8(),
            None => return None,
        };
    }
    None
}
