//! What an edit is about, and what comes of it.

use serde::{Deserialize, Serialize};

/// What came into a text beside the entry itself, so that [`super::Format::remove`] can take it out again, too. It can be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// How many containers around the entry were created, from the innermost outwards.
    pub containers: usize,
    /// What was between the brackets of the container that was there (or in the file, if it held no value) when it held
    /// nothing but blanks and comments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inner: Option<String>,
}

impl Made {
    /// Adds what was made for another entry, which is gone while this one stays in the same container.
    pub fn take_over(&mut self, other: Made) {
        self.containers += other.containers;
        self.inner = self.inner.take().or(other.inner);
    }
}

/// A text with one entry set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub text: String,
    /// What was made for the entry. Nothing if the entry was there and was replaced.
    pub made: Option<Made>,
}

/// Where an entry is: the keys on the way to its container, and its own key. In a list it is the element whose `name` is that
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot<'a> {
    /// The keys on the way to the container, from the outermost value of the file.
    pub path: &'a [&'a str],
    /// The key of the entry.
    pub name: &'a str,
    /// Whether a container that must be created is a list.
    pub in_list: bool,
}

impl Spot<'_> {
    /// The whole way to the entry.
    pub(crate) fn full_path(&self) -> Vec<&str> {
        self.path.iter().copied().chain([self.name]).collect()
    }
}
