//! A message on its way out. A long message is not copied to change an id in it: it goes out as segments, most of
//! which are parts of the message as it came in.

use bytes::{Buf, Bytes};

use crate::json::{self, Edit};
use crate::limits;

/// The bytes of one message, in one segment or in several that are written one after the other.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Segments {
    /// `text` with the edits applied. They need not be sorted and must not overlap. A text shorter than
    /// [`limits::LONG_BYTES`] is copied into one segment, which costs less than writing several.
    pub fn edited(text: &Bytes, mut edits: Vec<Edit>) -> Self {
        if text.len() < limits::LONG_BYTES {
            return Segments::from(Bytes::from(json::splice(text, edits)));
        }
        edits.sort_by_key(|edit| edit.at.start);
        let mut parts = Vec::with_capacity(2 * edits.len() + 1);
        let mut done = 0;
        for edit in edits {
            parts.push(text.slice(done..edit.at.start));
            parts.push(edit.with.into());
            done = edit.at.end;
        }
        parts.push(text.slice(done..));
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// How many bytes there are in all segments together.
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().all(Bytes::is_empty)
    }

    /// The segments in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The message with something before and behind it.
    #[must_use]
    pub fn between(self, before: &'static [u8], after: &'static [u8]) -> Self {
        if self.len() < limits::LONG_BYTES {
            return Segments::from(Bytes::from([before, &self.into_whole(), after].concat()));
        }
        let parts = std::iter::once(Bytes::from_static(before)).chain(self);
        parts.chain([Bytes::from_static(after)]).collect()
    }

    /// The message, if it is in one segment.
    pub fn as_whole(&self) -> Option<&Bytes> {
        self.rest.is_empty().then_some(&self.first)
    }

    /// The message in one segment. Several are copied.
    pub fn into_whole(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.len());
        self.iter().for_each(|part| whole.extend_from_slice(part));
        whole.into()
    }
}

impl From<Bytes> for Segments {
    fn from(whole: Bytes) -> Self {
        Segments { first: whole, rest: Vec::new() }
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<T: IntoIterator<Item = Bytes>>(parts: T) -> Self {
        let mut parts = parts.into_iter();
        Segments { first: parts.next().unwrap_or_default(), rest: parts.collect() }
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = std::iter::Chain<std::iter::Once<Bytes>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.rest)
    }
}

/// Two are the same if their bytes are.
impl PartialEq for Segments {
    fn eq(&self, other: &Self) -> bool {
        self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Segments {}

/// Writes them one after the other.
impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.iter().find(|part| !part.is_empty()).map_or(&[], |part| part)
    }

    fn advance(&mut self, mut count: usize) {
        for part in std::iter::once(&mut self.first).chain(&mut self.rest) {
            let now = count.min(part.len());
            part.advance(now);
            count -= now;
        }
        assert_eq!(count, 0, "no more than there is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_edited_as_a_short_one_and_not_copied() {
        let long = "x".repeat(limits::LONG_BYTES);
        for middle in ["", &long] {
            let text = Bytes::from(format!("[1,{middle}2]"));
            let last = text.len() - 2;
            let edits = || {
                let edit = |at: usize, with: &str| Edit { at: at..at + 1, with: with.as_bytes().to_vec() };
                vec![edit(last, ""), edit(1, "one")]
            };
            let expected = format!("[one,{middle}]");
            let mut edited = Segments::edited(&text, edits());
            assert_eq!(edited.as_whole().is_some(), middle.is_empty());
            assert!(edited.iter().all(|part| !part.is_empty()));
            assert_eq!(edited, Segments::from(Bytes::from(json::splice(&text, edits()))));
            assert_eq!(
                (edited.len(), edited.clone().into_whole()),
                (expected.len(), expected.clone().into())
            );
            let between = edited.clone().between(b"<", b">");
            assert_eq!(between.into_whole(), format!("<{expected}>"));
            // Writes the bytes in steps, of which some end within a segment and some at its end.
            let mut written = Vec::new();
            while edited.has_remaining() {
                let step = edited.chunk().len().min(3);
                written.extend_from_slice(&edited.chunk()[..step]);
                edited.advance(step);
            }
            assert_eq!(written, expected.as_bytes());
            assert!(edited.is_empty());
        }
        let mut both = Segments { first: Bytes::from_static(b"ab"), rest: vec![Bytes::from_static(b"cd")] };
        both.advance(3);
        assert_eq!((both.chunk(), both.remaining()), (&b"d"[..], 1));
    }
}
