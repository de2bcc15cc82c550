//! What a client heard, as text that is the same each time.

use std::fmt::Write;

use serde_json::{Value, json};

/// The longest line of the file, in characters.
const WIDTH: usize = 118;
const LISTS: [&str; 4] = ["tools", "prompts", "resources", "resourceTemplates"];

/// What a client heard, step by step.
#[derive(Default)]
pub(super) struct Transcript {
    text: String,
    /// The revision that the client asks for, which the text does not tell.
    revision: &'static str,
    /// The id of the client's `subscriptions/listen`.
    pub(super) listen: Option<Value>,
    /// What has come in this step, with the key by which it is sorted: over HTTP, messages of several streams overtake
    /// each other.
    lines: Vec<(String, String)>,
}

impl Transcript {
    pub(super) fn of(revision: &'static str) -> Self {
        Transcript { revision, ..Transcript::default() }
    }

    /// All that was written so far.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    pub(super) fn begin(&mut self, title: &str) {
        writeln!(self.text, "{title}").expect("a string takes all");
    }

    pub(super) fn add(&mut self, message: &Value) {
        let (key, head, body) = match message["method"].as_str() {
            Some(method) if message.get("id").is_some() => {
                ("2".to_owned(), format!("{method}?"), &message["params"])
            }
            Some(method) => (format!("1 {method}"), method.to_owned(), &message["params"]),
            None if message.get("error").is_some() => ("3".to_owned(), "error".to_owned(), &message["error"]),
            None => ("3".to_owned(), "result".to_owned(), &message["result"]),
        };
        let body = self.normalise(body.clone());
        self.lines.push((key, format!("{head} {body}")));
    }

    /// Adds a line that is not from a message to the client.
    pub(super) fn note(&mut self, what: &str, value: &Value) {
        let body = self.normalise(value.clone());
        self.write(&format!("{what} {body}"));
    }

    pub(super) fn end(&mut self) {
        self.lines.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, line) in std::mem::take(&mut self.lines) {
            self.write(&line);
        }
    }

    fn write(&mut self, line: &str) {
        for (number, part) in wrap(line).enumerate() {
            let indent = if number == 0 { "    " } else { "      " };
            writeln!(self.text, "{indent}{part}").expect("a string takes all");
        }
    }

    fn normalise(&self, mut value: Value) -> Value {
        for list in LISTS {
            if let Some(items) = value[list].as_array() {
                value[list] = summary(items);
            }
        }
        replace(&mut value, "requestState", &json!("<state>"), |_| true);
        replace(&mut value, "supportedVersions", &json!("<its own>"), |_| true);
        replace(&mut value, "protocolVersion", &json!("<its own>"), |it| *it == self.revision);
        if let Some(listen) = &self.listen {
            let key = "io.modelcontextprotocol/subscriptionId";
            replace(&mut value, key, &json!("<the listen>"), |it| it == listen);
        }
        value
    }
}

/// Stands for a long list.
fn summary(items: &[Value]) -> Value {
    let name = |item: &Value| {
        let name = ["name", "uriTemplate", "uri"].iter().find_map(|key| item[key].as_str());
        name.unwrap_or("?").to_owned()
    };
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return json!([]) };
    json!(format!("{}, from {} to {}", items.len(), name(first), name(last)))
}

/// Replaces the members of this name, however deep they are, whose value is `what`.
fn replace(value: &mut Value, key: &str, by: &Value, what: impl Fn(&Value) -> bool + Copy) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == key && what(member) {
                    *member = by.clone();
                } else {
                    replace(member, key, by, what);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, key, by, what)),
        _ => {}
    }
}

/// The parts of a line that fit into the width, broken behind commas and spaces.
fn wrap(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let whole = rest;
        if whole.is_empty() {
            return None;
        }
        let limit = whole.char_indices().nth(WIDTH).map_or(whole.len(), |(at, _)| at);
        let cut = if limit == whole.len() {
            limit
        } else {
            whole[..limit].rfind([',', ' ']).map_or(limit, |at| at + 1)
        };
        let (part, next) = whole.split_at(cut);
        rest = next;
        Some(part.trim_end())
    })
}
