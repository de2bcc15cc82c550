//! TOML, read into a [`Value`].

use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use super::error::ParseError;
use super::splice::position;
use crate::Value;

/// Reads a text.
pub(crate) fn parse(text: &str) -> Result<Value, ParseError> {
    Ok(table_to_value(parse_document(text)?.as_table()))
}

/// Reads a text into a tree that knows where everything is. The parser bounds its depth (80).
pub(super) fn parse_document(text: &str) -> Result<Document<&str>, ParseError> {
    Document::parse(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        // The first line alone: the others list what the parser expected.
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        ParseError { line, column, message }
    })
}

fn table_to_value(table: &dyn TableLike) -> Value {
    Value::map(table.iter().map(|(key, item)| (key, item_to_value(item))))
}

fn item_to_value(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => to_value(value),
        Item::Table(table) => table_to_value(table),
        Item::ArrayOfTables(tables) => {
            Value::List(tables.iter().map(|table| table_to_value(table)).collect())
        }
    }
}

fn to_value(value: &TomlValue) -> Value {
    match value {
        TomlValue::String(text) => Value::text(text.value().as_str()),
        TomlValue::Integer(number) => Value::Number(number.value().to_string()),
        // With its point, so that it is still a float when it is written again.
        TomlValue::Float(number) => Value::Number(format!("{:?}", number.value()).to_lowercase()),
        TomlValue::Boolean(truth) => Value::Bool(*truth.value()),
        TomlValue::Datetime(time) => Value::text(time.value().to_string()),
        TomlValue::Array(elements) => Value::List(elements.iter().map(to_value).collect()),
        TomlValue::InlineTable(table) => table_to_value(table),
    }
}

/// A key as TOML writes it: bare where it can be.
pub(super) fn write_key(key: &str) -> String {
    toml_edit::Key::new(key).display_repr().into_owned()
}

/// A value as TOML writes it in one line. A null cannot be written and becomes an empty text.
pub(super) fn write_value(value: &Value) -> String {
    match value {
        Value::Null => "''".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::Text(text) => write_text(text),
        Value::List(elements) => {
            format!("[{}]", elements.iter().map(write_value).collect::<Vec<_>>().join(", "))
        }
        Value::Map(pairs) if pairs.is_empty() => "{}".to_owned(),
        Value::Map(pairs) => {
            let pair =
                |(key, value): &(String, Value)| format!("{} = {}", write_key(key), write_value(value));
            format!("{{ {} }}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

fn write_text(text: &str) -> String {
    let written = TomlValue::from(text).to_string();
    // A text of several lines would take the line ends of the file; JSON's escapes are TOML's, too.
    if written.contains(['\n', '\r']) {
        super::json_layout::quote(text).replace('\u{7f}', "\\u007f")
    } else {
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_its_order() {
        let text = "b = 1\na.x = 1.5\n[c]\nd = [true, 'e', { f = 1979-05-27 }]\n[[g]]\nh = 0x10\n";
        let number = |digits: &str| Value::Number(digits.to_owned());
        let list = vec![Value::Bool(true), Value::text("e"), Value::map([("f", Value::text("1979-05-27"))])];
        let expected = Value::map([
            ("b", number("1")),
            ("a", Value::map([("x", number("1.5"))])),
            ("c", Value::map([("d", Value::List(list))])),
            ("g", Value::List(vec![Value::map([("h", number("16"))])])),
        ]);
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn an_error_says_where_and_shows_no_value() {
        let error = parse("[a]\nkey = \"hunter2\nb = 1\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(parse("[a]\n[a]\n").unwrap_err().to_string(), "duplicate key (line 2, column 2)");
        assert!(parse(&format!("a = {}", "[".repeat(100_000))).unwrap_err().message.contains("recursion"));
    }

    #[test]
    fn every_text_is_written_in_one_line() {
        for text in ["plain", r"C:\Users\me", "it's", "a\nb\r\n\"c\"", "\u{7f}\t\u{1}", "''' \"\"\" \n"] {
            let written = write_value(&Value::text(text));
            assert_eq!(written.lines().count(), 1, "{written}");
            assert_eq!(
                parse(&format!("k = {written}")).unwrap().get("k"),
                Some(&Value::text(text)),
                "{written}"
            );
        }
        assert_eq!(write_value(&Value::text(r"C:\x")), r"'C:\x'");
    }
}
