//! The formats of configuration files: how each is read, and how one entry is put in and taken out again.
//!
//! An edit replaces a few places in the text and keeps every other character. The text that comes out is parsed again and
//! compared with what went in: an edit that would change more than it should is an error.

mod depth;
mod edit;
mod error;
mod json;
mod json_edit;
mod json_layout;
mod splice;
mod toml;
mod toml_edits;
mod toml_regions;
mod yaml;
mod yaml_lines;
mod yaml_snippet;

#[cfg(test)]
mod tests;

pub use edit::{Edited, Made, Spot};
pub use error::{EditError, ParseError};
pub(crate) use json::read as read_json;
pub(crate) use toml::read as read_toml;
pub(crate) use yaml_lines::find_entries as find_yaml_entries;
pub(crate) use yaml_snippet::write_entries as write_yaml_entries;

use crate::Value;

/// A format of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON as <https://www.rfc-editor.org/rfc/rfc8259> has it.
    Json,
    /// JSON with comments and trailing commas: <https://jsonc.org>.
    Jsonc,
    /// TOML: <https://toml.io>.
    Toml,
    /// YAML: <https://yaml.org>. It is read, and not edited.
    Yaml,
}

impl Format {
    /// Reads a text. `None` if it holds no value at all.
    pub fn parse(self, text: &str) -> Result<Option<Value>, ParseError> {
        let document = match self {
            Format::Json | Format::Jsonc => json::read(text, self == Format::Jsonc),
            Format::Toml => toml::read(text).map(Some),
            Format::Yaml => return yaml::parse(text),
        };
        match document {
            Ok(document) => Ok(document.map(|document| document.value)),
            Err(fault) => Err(ParseError::locate(fault, text)),
        }
    }

    /// Sets the entry at `spot` to `value`, creating the containers that are missing. An equal entry leaves the text as it is.
    pub fn set(self, text: &str, spot: Spot<'_>, value: &Value) -> Result<Edited, EditError> {
        let before = self.parse(text)?;
        let present = before.as_ref().and_then(|root| root.at(&spot.full_path()));
        if present == Some(value) {
            return Ok(Edited { text: text.to_owned(), made: None });
        }
        let edited = match self {
            Format::Json | Format::Jsonc => json_edit::set(text, self == Format::Jsonc, spot, value)?,
            Format::Toml => toml_edits::set(text, spot, value)?,
            Format::Yaml => return Err(EditError::Unsupported { what: "exai does not change YAML" }),
        };
        let after = self.parse(&edited.text).ok().flatten();
        let added = edited.made.as_ref().map_or(0, |made| made.containers);
        let is_set = after.as_ref().and_then(|root| root.at(&spot.full_path())) == Some(value);
        let before = if present.is_some() { without_entry(before, spot, 0) } else { before };
        if is_set && are_equal(before, without_entry(after, spot, added)) {
            Ok(edited)
        } else {
            Err(EditError::ChangesMore { name: spot.name.to_owned() })
        }
    }

    /// Removes the entry at `spot`, and what `made` says was made for it and holds nothing else by now.
    pub fn remove(self, text: &str, spot: Spot<'_>, made: Option<&Made>) -> Result<String, EditError> {
        let before = self.parse(text)?;
        if before.as_ref().and_then(|root| root.at(&spot.full_path())).is_none() {
            return Err(EditError::NotFound { name: spot.name.to_owned() });
        }
        let (result, removed) = match self {
            Format::Json | Format::Jsonc => json_edit::remove(text, self == Format::Jsonc, spot, made)?,
            Format::Toml => toml_edits::remove(text, spot, made)?,
            Format::Yaml => return Err(EditError::Unsupported { what: "exai does not change YAML" }),
        };
        let after = self.parse(&result).map_err(|_| EditError::ChangesMore { name: spot.name.to_owned() })?;
        if are_equal(after, without_entry(before, spot, removed)) {
            Ok(result)
        } else {
            Err(EditError::ChangesMore { name: spot.name.to_owned() })
        }
    }
}

/// A file without the entry at `spot` and without `containers` of those around it.
fn without_entry(root: Option<Value>, spot: Spot<'_>, containers: usize) -> Option<Value> {
    let path = spot.full_path();
    let mut root = root?;
    // As many containers as the path has keys: the outermost value goes as well.
    let kept = path.len().checked_sub(containers).filter(|kept| *kept > 0)?;
    root.drop_at(&path[..kept]);
    Some(root)
}

/// Whether two files say the same. The order of keys does not count: a section of TOML that goes may have been the first to
/// name its parent.
fn are_equal(mut left: Option<Value>, mut right: Option<Value>) -> bool {
    left.iter_mut().chain(&mut right).for_each(Value::sort_keys);
    left == right
}
