//! Fields of forms and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The fields of a form, in their order. One without a value counts as absent, as RFC 6749 says.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(text: &str) -> Self {
        let fields = text.split('&').filter_map(|field| field.split_once('='));
        let fields = fields.map(|(name, value)| (decode(name), decode(value)));
        Form(fields.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The first field that comes twice, which OAuth forbids.
    pub(super) fn repeated(&self) -> Option<&str> {
        let comes_twice = |name: &str| self.0.iter().filter(|(known, _)| known == name).count() > 1;
        self.0.iter().map(|(name, _)| &**name).find(|name| comes_twice(name))
    }
}

/// Writes `application/x-www-form-urlencoded`.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let field = |&(name, value): &(&str, &str)| {
        format!("{}={}", utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED))
    };
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// Reads one name or value of a form.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The path and the query of what a request asks for.
pub(super) fn split_query(path: &str) -> (&str, &str) {
    path.split_once('?').unwrap_or((path, ""))
}

/// The words of a scope.
pub(super) fn words(scope: &str) -> Vec<String> {
    scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
