//! The texts of a manifest, and what `${…}` in them stands for.

use super::places::Places;
use super::plan::gap;
use crate::fault::Fault;
use crate::variables::{self, Piece};

/// What the texts of a manifest may refer to.
pub(crate) struct Texts<'a> {
    pub(crate) places: &'a Places,
    pub(crate) windows: bool,
    /// The keys of `user_config`.
    pub(crate) settings: Vec<String>,
}

impl Texts<'_> {
    pub(crate) fn separator(&self) -> char {
        if self.windows { '\\' } else { '/' }
    }

    /// A text with its places filled in, and a gap for each `${user_config.KEY}`.
    pub(crate) fn fill(&self, text: &str, at: usize) -> Result<String, Fault> {
        self.fill_with(text, at, &|key| {
            if self.settings.iter().any(|setting| setting == key) {
                return Ok(gap(key));
            }
            Err(Fault::new(at, "`${user_config.…}` names a setting that is not in `user_config`"))
        })
    }

    /// A text that may refer to places alone.
    pub(crate) fn fill_places(&self, text: &str, at: usize) -> Result<String, Fault> {
        self.fill_with(text, at, &|_| Err(Fault::new(at, "a default refers to a setting")))
    }

    fn fill_with(
        &self,
        text: &str,
        at: usize,
        setting: &dyn Fn(&str) -> Result<String, Fault>,
    ) -> Result<String, Fault> {
        let refuse = || Fault::new(at, "a text refers to a variable that bundles do not have");
        let mut filled = String::new();
        for piece in variables::split(text) {
            // A `$` could meet the `{` of what follows.
            if filled.ends_with('$') && !matches!(piece, Piece::Plain(_)) {
                return Err(refuse());
            }
            match piece {
                Piece::Dollar("__dirname") => filled.push_str(&self.places.bundle),
                Piece::Dollar("HOME") => filled.push_str(&self.places.home),
                Piece::Dollar("DESKTOP") => filled.push_str(&self.places.desktop),
                Piece::Dollar("DOCUMENTS") => filled.push_str(&self.places.documents),
                Piece::Dollar("DOWNLOADS") => filled.push_str(&self.places.downloads),
                Piece::Dollar("pathSeparator" | "/") => filled.push(self.separator()),
                Piece::Dollar(inside) => match inside.strip_prefix("user_config.") {
                    Some(key) => filled.push_str(&setting(key)?),
                    // What exai itself would fill in: a variable, or a secret of the user.
                    None if inside.contains(':') || inside.starts_with("client.") => return Err(refuse()),
                    None => piece.write(&mut filled),
                },
                other => other.write(&mut filled),
            }
        }
        if filled.contains('\0') {
            return Err(Fault::new(at, "a text contains a NUL character"));
        }
        Ok(filled)
    }
}

/// A default must not become a reference where it is filled in.
pub(crate) fn check_default(text: &str, at: usize) -> Result<(), Fault> {
    if text.contains("${") || text.ends_with('$') {
        return Err(Fault::new(at, "a default refers to a variable that bundles do not have"));
    }
    Ok(())
}
