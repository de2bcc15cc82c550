//! The documents that are given to exai, with the errors that their readers show.

use crate::fault::Fault;
use crate::format;
use crate::node::Document;

/// Reads JSON with comments and trailing commas.
pub(crate) fn read_json(text: &str) -> Result<Document, Fault> {
    let document = format::read_json(text, true).map_err(|fault| {
        // The parser's sentence in the case that ours have. It quotes nothing but single escapes, which are no secrets.
        let mut characters = fault.what.chars();
        let first = characters.next().into_iter().flat_map(char::to_lowercase).collect::<String>();
        Fault::new(fault.at, format!("this is not valid JSON: {first}{}", characters.as_str()))
    })?;
    document.ok_or_else(|| Fault::new(0, "the text is empty"))
}

/// Reads TOML.
pub(crate) fn read_toml(text: &str) -> Result<Document, Fault> {
    format::read_toml(text)
        .map_err(|fault| Fault::new(fault.at, format!("this is not valid TOML: {}", fault.what)))
}
