//! The two eras of MCP.

use std::fmt;

/// An era of MCP: two protocols with the same subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// The revisions that begin with `initialize`, up to 2025-11-25: a connection is a session.
    Legacy,
    /// The revision 2026-07-28: each request says of itself what a session said before.
    Modern,
}

/// Both eras.
pub(crate) const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

impl Era {
    /// The name of the era in configuration, documents and messages.
    pub fn name(self) -> &'static str {
        match self {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value for each era.
#[derive(Debug, Clone, Default)]
pub(crate) struct PerEra<T> {
    legacy: T,
    modern: T,
}

impl<T> PerEra<T> {
    pub(crate) fn get(&self, era: Era) -> &T {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }

    pub(crate) fn get_mut(&mut self, era: Era) -> &mut T {
        match era {
            Era::Legacy => &mut self.legacy,
            Era::Modern => &mut self.modern,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Era, &T)> {
        [(Era::Legacy, &self.legacy), (Era::Modern, &self.modern)].into_iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Era, &mut T)> {
        [(Era::Legacy, &mut self.legacy), (Era::Modern, &mut self.modern)].into_iter()
    }
}
