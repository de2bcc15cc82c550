//! Entries as YAML, to be pasted by the user: exai does not edit YAML, for no editor of it keeps every comment.

use super::yaml::read_plain;
use crate::Value;

/// Entries as YAML, to be pasted: the keys of `pointer` around them, each in a line of its own.
pub(crate) fn write_entries(pointer: &[&str], in_list: bool, entries: &[(&str, Value)]) -> String {
    let mut text = String::new();
    let mut indent = String::new();
    for key in pointer {
        text.extend([indent.as_str(), *key, ":\n"]);
        indent.push_str("  ");
    }
    for (name, entry) in entries {
        let mut lead = if in_list {
            format!("{indent}- ")
        } else {
            text.extend([indent.as_str(), write_key(name).as_str(), ":\n"]);
            format!("{indent}  ")
        };
        for (key, value) in entry.as_map().unwrap_or_default() {
            text.extend([lead.as_str(), &write_key(key), ": ", &write_value(value), "\n"]);
            lead = format!("{indent}  ");
        }
    }
    text
}

/// A value in one line.
fn write_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::Text(text) => quote(text),
        Value::List(elements) => {
            format!("[{}]", elements.iter().map(write_value).collect::<Vec<_>>().join(", "))
        }
        Value::Map(pairs) => {
            let pair = |(key, value): &(String, Value)| format!("{}: {}", write_key(key), write_value(value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

fn write_key(key: &str) -> String {
    let is_bare = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && read_plain(key) == Value::text(key);
    if is_bare { key.to_owned() } else { quote(key) }
}

/// A text as YAML writes it in one line: in double quotes, which take the escapes of JSON.
fn quote(text: &str) -> String {
    super::json_layout::quote(text).replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    #[test]
    fn quotes_are_read_back() {
        for text in ["C:\\x", "a\n\"b\"", "\u{7f}\u{1}ä😀", "- no"] {
            let read = parse(&format!("k: {}", quote(text))).unwrap().unwrap();
            assert_eq!(read.get("k").and_then(Value::as_text), Some(text));
        }
    }

    #[test]
    fn keys_that_look_like_values_are_quoted() {
        let text =
            write_entries(&["extensions"], false, &[("true", Value::map([("a b", Value::text("c"))]))]);
        assert_eq!(text, "extensions:\n  \"true\":\n    \"a b\": \"c\"\n");
    }
}
