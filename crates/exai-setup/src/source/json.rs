//! JSON with comments and trailing commas, read into a [`Node`].

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, parse_to_ast};

use super::error::Fault;
use super::tree::{MAX_DEPTH, Member, Node, Value};
use crate::json_syntax::parse_options;

/// What stands around a text while it is read, and where the text begins in the one that the user sees.
pub(crate) struct Frame {
    /// The offset of the text in bytes.
    pub(crate) base: usize,
    /// Whether braces are added around the text, as READMEs leave them out.
    pub(crate) braces: bool,
}

impl Frame {
    /// A whole text.
    pub(crate) const WHOLE: Frame = Frame { base: 0, braces: false };

    fn place(&self, offset: usize) -> usize {
        self.base + offset.saturating_sub(usize::from(self.braces))
    }
}

/// Reads JSON with comments and trailing commas. Offsets are those of `frame`.
pub(crate) fn read_json(text: &str, frame: &Frame) -> Result<Node, Fault> {
    // The parser's own bound of the depth is far above ours, and counts nothing but open brackets.
    let braced;
    let text = if frame.braces {
        braced = format!("{{{text}\n}}");
        &braced
    } else {
        text
    };
    let options = parse_options(true);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| Fault::new(frame.place(error.range().start), describe(error.kind())))?;
    match parsed.value {
        Some(value) => convert(value, frame, MAX_DEPTH),
        None => Err(Fault::new(frame.place(0), "the text is empty")),
    }
}

/// The parser's sentence in the case that ours have. It quotes nothing of the text but single escapes, which are no secrets.
fn describe(kind: &jsonc_parser::errors::ParseErrorKind) -> String {
    let sentence = kind.to_string();
    let mut characters = sentence.chars();
    match characters.next() {
        Some(first) => format!("this is not valid JSON: {}{}", first.to_lowercase(), characters.as_str()),
        None => "this is not valid JSON".to_owned(),
    }
}

fn convert(value: ast::Value<'_>, frame: &Frame, depth: usize) -> Result<Node, Fault> {
    let at = frame.place(value.range().start);
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Fault::new(at, format!("the text is nested deeper than {MAX_DEPTH} levels")));
    };
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(flag) => Value::Flag(flag.value),
        ast::Value::NumberLit(number) => Value::Number(number.value.to_owned()),
        ast::Value::StringLit(text) => Value::Text(text.value.into_owned()),
        ast::Value::Array(array) => {
            let elements = array.elements.into_iter();
            Value::List(elements.map(|element| convert(element, frame, deeper)).collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => {
            let mut members = Vec::with_capacity(object.properties.len());
            for property in object.properties {
                let at = frame.place(property.range.start);
                let node = convert(property.value, frame, deeper)?;
                members.push(Member { key: property.name.into_string(), at, node });
            }
            Value::Table(members)
        }
    };
    Ok(Node { at, value })
}
