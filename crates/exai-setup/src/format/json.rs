//! JSON and JSONC, read into a [`Document`].

use jsonc_parser::ast::{Array, Object, Value as Node};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::depth::{MAX_DEPTH, TOO_DEEP};
use super::error::ParseError;
use crate::Value;
use crate::fault::Fault;
use crate::node::{Document, Place};

/// Reads a text; `relaxed` allows comments and trailing commas. `None` if it holds no value.
pub(crate) fn read(text: &str, relaxed: bool) -> Result<Option<Document>, Fault> {
    let root = parse(text, relaxed)?;
    let read = root.map(|root| read_value(root, 0, MAX_DEPTH)).transpose()?;
    Ok(read.map(|(value, place)| Document { value, place }))
}

/// Reads a text into a tree that knows where everything is. The parser bounds its depth (512).
pub(super) fn parse_tree(text: &str, relaxed: bool) -> Result<Option<Node<'_>>, ParseError> {
    parse(text, relaxed).map_err(|fault| ParseError::locate(fault, text))
}

fn parse(text: &str, relaxed: bool) -> Result<Option<Node<'_>>, Fault> {
    match parse_to_ast(text, &CollectOptions::default(), &parse_options(relaxed)) {
        Ok(result) => Ok(result.value),
        Err(error) => Err(Fault::new(error.range().start, error.kind().to_string())),
    }
}

/// JSON as its standard has it or, if it is `relaxed`, with comments and commas before a closing bracket.
fn parse_options(relaxed: bool) -> ParseOptions {
    ParseOptions {
        allow_comments: relaxed,
        allow_loose_object_property_names: false,
        allow_trailing_commas: relaxed,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn read_value(node: Node<'_>, key: usize, depth: usize) -> Result<(Value, Place), Fault> {
    let at = node.start();
    let deeper = depth.checked_sub(1).ok_or_else(|| Fault::new(at, TOO_DEEP))?;
    let mut inner = Vec::new();
    let value = match node {
        Node::NullKeyword(_) => Value::Null,
        Node::BooleanLit(literal) => Value::Bool(literal.value),
        Node::NumberLit(literal) => Value::Number(literal.value.to_owned()),
        Node::StringLit(literal) => Value::Text(literal.value.into_owned()),
        Node::Array(array) => {
            let mut elements = Vec::with_capacity(array.elements.len());
            for element in array.elements {
                let (value, place) = read_value(element, 0, deeper)?;
                elements.push(value);
                inner.push(place);
            }
            Value::List(elements)
        }
        Node::Object(object) => {
            let mut pairs = Vec::with_capacity(object.properties.len());
            for property in object.properties {
                let (value, place) = read_value(property.value, property.range.start, deeper)?;
                pairs.push((property.name.into_string(), value));
                inner.push(place);
            }
            Value::Map(pairs)
        }
    };
    Ok((value, Place { at, key, inner }))
}

/// An object or an array, as a row of members between brackets.
pub(super) struct Container<'a, 'n> {
    /// Where its opening bracket is.
    pub(super) open: usize,
    /// Where its closing bracket is.
    pub(super) close: usize,
    /// Its members, in order.
    pub(super) members: Vec<Member<'a, 'n>>,
    /// Whether it is an array.
    pub(super) is_list: bool,
}

/// A property of an object, or an element of an array.
pub(super) struct Member<'a, 'n> {
    /// The key of the property, or the `name` of the element.
    pub(super) name: Option<&'n str>,
    /// Where it begins: at its key, if it has one.
    pub(super) start: usize,
    /// Where it ends: behind its value.
    pub(super) end: usize,
    /// Its value.
    pub(super) value: &'n Node<'a>,
}

impl<'a, 'n> Container<'a, 'n> {
    /// The container that a value is, if it is one.
    pub(super) fn of(node: &'n Node<'a>) -> Option<Self> {
        let range = node.range();
        let (members, is_list) = match node {
            Node::Object(object) => (properties(object), false),
            Node::Array(array) => (elements(array), true),
            _ => return None,
        };
        Some(Container { open: range.start, close: range.end.saturating_sub(1), members, is_list })
    }
}

fn properties<'a, 'n>(object: &'n Object<'a>) -> Vec<Member<'a, 'n>> {
    let member = |property: &'n jsonc_parser::ast::ObjectProp<'a>| Member {
        name: Some(property.name.as_str()),
        start: property.range.start,
        end: property.range.end,
        value: &property.value,
    };
    object.properties.iter().map(member).collect()
}

fn elements<'a, 'n>(array: &'n Array<'a>) -> Vec<Member<'a, 'n>> {
    let member = |element: &'n Node<'a>| {
        let name = element.as_object().and_then(|object| {
            let property =
                object.properties.iter().rev().find(|property| property.name.as_str() == "name")?;
            Some(property.value.as_string_lit()?.value.as_ref())
        });
        Member { name, start: element.start(), end: element.end(), value: element }
    };
    array.elements.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn parse(text: &str, relaxed: bool) -> Result<Option<Value>, ParseError> {
        if relaxed { Format::Jsonc.parse(text) } else { Format::Json.parse(text) }
    }

    #[test]
    fn strict_json_has_no_comments_and_no_trailing_commas() {
        let wrong = |text: &str| parse(text, false).unwrap_err().to_string();
        assert_eq!(wrong("{\n  // a\n}"), "Comments are not allowed (line 2, column 3)");
        assert_eq!(wrong("{\n  \"a\": 1,\n}"), "Trailing commas are not allowed (line 2, column 9)");
        assert_eq!(
            parse("{ /* a */ \"a\": [1,], }", true).unwrap().unwrap().get("a"),
            Some(&Value::List(vec![Value::Number("1".to_owned())]))
        );
    }

    #[test]
    fn a_text_that_breaks_the_rules_is_placed() {
        for (text, line, column) in [
            ("{\n\"a\": 1\n\"b\": 2}", 2, 7),
            ("{'a': 1}", 1, 2),
            ("{a: 1}", 1, 2),
            ("{\"a\": .5}", 1, 7),
            ("{\"a\": 1} {}", 1, 10),
        ] {
            let error = parse(text, true).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        }
    }

    #[test]
    fn a_deep_text_is_an_error_and_no_overflow() {
        let error = parse(&"[".repeat(100_000), true).unwrap_err();
        assert_eq!(error.message, "Maximum nesting depth exceeded");
    }

    #[test]
    fn a_text_without_a_value_is_none() {
        assert_eq!(parse(" \r\n", false), Ok(None));
        assert_eq!(parse("// later\n", true), Ok(None));
    }
}
