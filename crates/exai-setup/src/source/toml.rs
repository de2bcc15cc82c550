//! TOML, read into a [`Node`].

use toml_edit::{Document, Item, TableLike};

use super::error::Fault;
use super::tree::{MAX_DEPTH, Member, Node, Value};

/// Reads TOML. `base` is where the text begins in the one that the user sees.
pub(crate) fn read_toml(text: &str, base: usize) -> Result<Node, Fault> {
    let document = Document::parse(text).map_err(|error| {
        // The message alone: the error's whole text quotes the line, which may hold a secret.
        let at = error.span().map_or(0, |span| span.start);
        Fault::new(base + at, format!("this is not valid TOML: {}", error.message().trim()))
    })?;
    table(document.as_table(), base, MAX_DEPTH)
}

fn table(table: &dyn TableLike, base: usize, depth: usize) -> Result<Node, Fault> {
    let mut members = Vec::new();
    for (key, item) in table.iter() {
        let at = table.key(key).and_then(toml_edit::Key::span).map_or(base, |span| base + span.start);
        members.push(Member { key: key.to_owned(), at, node: convert(item, base, at, depth)? });
    }
    Ok(Node { at: base, value: Value::Table(members) })
}

fn convert(item: &Item, base: usize, near: usize, depth: usize) -> Result<Node, Fault> {
    let at = item.span().map_or(near, |span| base + span.start);
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Fault::new(at, format!("the text is nested deeper than {MAX_DEPTH} levels")));
    };
    let value = match item {
        Item::None => Value::Null,
        Item::Table(inner) => table(inner, base, deeper)?.value,
        Item::ArrayOfTables(tables) => {
            let nodes = tables.iter().map(|inner| Ok(Node { at, ..table(inner, base, deeper)? }));
            Value::List(nodes.collect::<Result<_, Fault>>()?)
        }
        Item::Value(value) => return convert_value(value, base, at, depth),
    };
    Ok(Node { at, value })
}

fn convert_value(value: &toml_edit::Value, base: usize, near: usize, depth: usize) -> Result<Node, Fault> {
    let at = value.span().map_or(near, |span| base + span.start);
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Fault::new(at, format!("the text is nested deeper than {MAX_DEPTH} levels")));
    };
    let value = match value {
        toml_edit::Value::String(text) => Value::Text(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::Number(number.value().to_string()),
        toml_edit::Value::Float(number) => Value::Number(number.value().to_string()),
        toml_edit::Value::Boolean(flag) => Value::Flag(*flag.value()),
        toml_edit::Value::Datetime(time) => Value::Text(time.value().to_string()),
        toml_edit::Value::Array(array) => {
            let nodes = array.iter().map(|element| convert_value(element, base, at, deeper));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        toml_edit::Value::InlineTable(inner) => table(inner, base, deeper)?.value,
    };
    Ok(Node { at, value })
}
