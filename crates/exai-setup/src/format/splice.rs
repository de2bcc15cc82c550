//! Places in a text, and what comes there.

/// A place in a text, and what comes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Splice {
    pub(crate) range: std::ops::Range<usize>,
    pub(crate) text: String,
}

impl Splice {
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Splice { range: at..at, text: text.into() }
    }

    pub(crate) fn delete(range: std::ops::Range<usize>) -> Self {
        Splice { range, text: String::new() }
    }
}

/// Makes all of the replacements, which must not overlap.
pub(crate) fn splice(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.range.start);
    let mut result = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for splice in splices {
        result.push_str(text.get(at..splice.range.start).unwrap_or_default());
        result.push_str(&splice.text);
        at = splice.range.end.max(at);
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}
