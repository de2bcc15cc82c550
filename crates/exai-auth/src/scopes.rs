//! Sets of scopes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most scopes of a set. Servers name them, and each request for tokens carries them.
const MAX_SCOPES: usize = 500;

/// Scopes, each once, in order, and no more than 500. An empty set asks for what the server gives by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Reads a list with spaces between. What is no scope (RFC 6749, appendix A.4) is left out.
    pub fn read(text: &str) -> Self {
        text.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this scope is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Adds those of another set.
    pub fn extend(&mut self, others: &Scopes) {
        for scope in &others.0 {
            if self.0.len() >= MAX_SCOPES {
                return;
            }
            self.0.insert(scope.clone());
        }
    }

    /// Keeps those that another set has, too.
    pub fn limit(&mut self, to: &Scopes) {
        self.0.retain(|scope| to.contains(scope));
    }

    /// Whether another set has all of this one.
    pub fn is_within(&self, other: &Scopes) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Each scope.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<T: Into<String>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(scopes: I) -> Self {
        let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let scopes = scopes.into_iter().map(Into::into);
        let scopes = scopes.filter(|scope| !scope.is_empty() && scope.bytes().all(fits));
        Scopes(scopes.take(MAX_SCOPES).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scopes = self.iter();
        scopes.next().map_or(Ok(()), |first| f.write_str(first))?;
        scopes.try_for_each(|scope| write!(f, " {scope}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_joined() {
        let mut scopes = Scopes::read("  b a b\u{7f} a\u{e9}\t");
        assert_eq!(scopes.to_string(), "a b");
        scopes.extend(&Scopes::read("c"));
        assert_eq!(scopes.to_string(), "a b c");
        assert!(Scopes::read("a c").is_within(&scopes) && !Scopes::read("a d").is_within(&scopes));
        scopes.limit(&Scopes::read("c d"));
        assert_eq!(scopes.to_string(), "c");
    }
}
