//! TOML, read into a [`Document`].

use toml_edit::{Document as TomlDocument, Item, TableLike, Value as TomlValue};

use super::depth::{MAX_DEPTH, TOO_DEEP};
use super::error::ParseError;
use crate::Value;
use crate::fault::Fault;
use crate::node::{Document, Place};

/// Reads a text.
pub(crate) fn read(text: &str) -> Result<Document, Fault> {
    let (value, inner) = read_table(parse(text)?.as_table(), MAX_DEPTH)?;
    Ok(Document { value, place: Place { at: 0, key: 0, inner } })
}

/// Reads a text into a tree that knows where everything is. The parser bounds its depth (80).
pub(super) fn parse_document(text: &str) -> Result<TomlDocument<&str>, ParseError> {
    parse(text).map_err(|fault| ParseError::locate(fault, text))
}

fn parse(text: &str) -> Result<TomlDocument<&str>, Fault> {
    TomlDocument::parse(text).map_err(|error| {
        // The first line alone: the others list what the parser expected, or quote the text, which may hold a secret.
        let message = error.message().lines().next().unwrap_or("not TOML");
        Fault::new(error.span().map_or(0, |span| span.start), message)
    })
}

fn read_table(table: &dyn TableLike, depth: usize) -> Result<(Value, Vec<Place>), Fault> {
    let mut pairs = Vec::new();
    let mut places = Vec::new();
    for (key, item) in table.iter() {
        let at = table.key(key).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
        let (value, place) = read_item(item, at, depth)?;
        pairs.push((key.to_owned(), value));
        places.push(Place { key: at, ..place });
    }
    Ok((Value::Map(pairs), places))
}

fn read_item(item: &Item, near: usize, depth: usize) -> Result<(Value, Place), Fault> {
    let at = item.span().map_or(near, |span| span.start);
    let deeper = depth.checked_sub(1).ok_or_else(|| Fault::new(at, TOO_DEEP))?;
    let (value, inner) = match item {
        Item::None => (Value::Null, Vec::new()),
        Item::Value(value) => return read_value(value, at, depth),
        Item::Table(table) => read_table(table, deeper)?,
        Item::ArrayOfTables(tables) => read_list(tables.iter().map(|table| {
            let (value, inner) = read_table(table, deeper)?;
            Ok((value, Place { at, key: 0, inner }))
        }))?,
    };
    Ok((value, Place { at, key: 0, inner }))
}

fn read_value(value: &TomlValue, near: usize, depth: usize) -> Result<(Value, Place), Fault> {
    let at = value.span().map_or(near, |span| span.start);
    let deeper = depth.checked_sub(1).ok_or_else(|| Fault::new(at, TOO_DEEP))?;
    let (value, inner) = match value {
        TomlValue::Array(elements) => {
            read_list(elements.iter().map(|element| read_value(element, at, deeper)))?
        }
        TomlValue::InlineTable(table) => read_table(table, deeper)?,
        TomlValue::String(text) => (Value::text(text.value().as_str()), Vec::new()),
        TomlValue::Integer(number) => (Value::Number(number.value().to_string()), Vec::new()),
        // With its point, so that it is still a float when it is written again.
        TomlValue::Float(number) => {
            (Value::Number(format!("{:?}", number.value()).to_lowercase()), Vec::new())
        }
        TomlValue::Boolean(truth) => (Value::Bool(*truth.value()), Vec::new()),
        TomlValue::Datetime(time) => (Value::text(time.value().to_string()), Vec::new()),
    };
    Ok((value, Place { at, key: 0, inner }))
}

fn read_list(
    elements: impl Iterator<Item = Result<(Value, Place), Fault>>,
) -> Result<(Value, Vec<Place>), Fault> {
    let read: Vec<_> = elements.collect::<Result<_, _>>()?;
    let (values, places) = read.into_iter().unzip();
    Ok((Value::List(values), places))
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

    fn parse(text: &str) -> Result<Value, ParseError> {
        read(text).map(|document| document.value).map_err(|fault| ParseError::locate(fault, text))
    }

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
