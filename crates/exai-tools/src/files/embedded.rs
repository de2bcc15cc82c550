//! What came of the paths that a call has named.

use std::fmt;
use std::path::PathBuf;

use super::reason::Reason;

/// Files as they are put before a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedded {
    /// All files in one text, and what is left out that the model should know of. Empty if there is nothing to say.
    pub text: String,
    /// About how long the text is, in tokens.
    pub tokens: usize,
    /// The files in the text, in their order.
    pub files: Vec<EmbeddedFile>,
    /// What is left out: everything that the call has named, and some of what was found in directories.
    pub omitted: Vec<Omitted>,
    /// How many more found files and directories are left out.
    pub more_omitted: usize,
    /// There, if anything is left out because the budget is too small.
    pub too_large: Option<TooLarge>,
}

/// A file in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedFile {
    /// Its path without links.
    pub path: PathBuf,
    /// Its name in the text.
    pub name: String,
    /// About how much of the text it takes, in tokens.
    pub tokens: usize,
    /// The SHA-256 of all its bytes, in Base64. With the path it tells a later call of the same thread that
    /// the model knows this content.
    pub digest: String,
    /// Whether its end is missing.
    pub is_truncated: bool,
}

/// A path that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omitted {
    /// As the call has named it; for a file in a directory, its name in a text.
    pub name: String,
    /// Whether the call has named it. If not, it was found in a directory.
    pub is_named: bool,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.reason)
    }
}

/// What `code_too_large` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    /// About how long the text would be with all files, in tokens.
    pub needed: usize,
    /// How long it may be, in tokens.
    pub budget: usize,
    /// The names of the largest files and how long they are in tokens, the largest first.
    pub largest: Vec<(String, usize)>,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the files have about {} tokens, and there is room for {}", self.needed, self.budget)?;
        let largest: Vec<String> =
            self.largest.iter().map(|(name, tokens)| format!("{name} ({tokens})")).collect();
        write!(f, "; the largest: {}", largest.join(", "))
    }
}

impl Embedded {
    /// What the thread knows from now on: the paths of the files that are shown whole, and their digests. For
    /// [`Wanted::already`](super::Wanted::already) of its later calls.
    pub fn shown_whole(&self) -> impl Iterator<Item = (&PathBuf, &String)> {
        self.files.iter().filter(|file| !file.is_truncated).map(|file| (&file.path, &file.digest))
    }

    /// The paths that the call has named and that are left out. `Unchanged` is no reason to worry.
    pub fn refused(&self) -> impl Iterator<Item = &Omitted> {
        self.omitted.iter().filter(|omitted| omitted.is_named && omitted.reason != Reason::Unchanged)
    }
}
