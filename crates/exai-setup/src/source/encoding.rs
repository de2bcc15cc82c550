//! Percent-encoding and base64, as links have them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

const EITHER_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);

/// Decodes `%41`; `None` if the result is no UTF-8.
pub(crate) fn decode_percent(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Decodes base64 to text, standard and URL-safe, with and without padding. A space counts as the `+` that it was before a
/// form decoder saw it.
pub(crate) fn decode_base64(text: &str) -> Option<String> {
    let standard: String = text
        .trim_matches(|character: char| character == '\n' || character == '\r')
        .chars()
        .map(|character| match character {
            '-' | ' ' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    String::from_utf8(STANDARD.decode(standard).ok()?).ok()
}

/// The parameters of a query, in their order: `a=1&b=2`, with `+` for a space. Those that are no UTF-8 are `None`.
pub(crate) fn read_query(query: &str) -> Vec<(String, Option<String>)> {
    let decode = |text: &str| decode_percent(&text.replace('+', " "));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (decode(name).unwrap_or_default(), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_in_each_of_its_forms() {
        for (encoded, text) in [
            ("aGk/Pz8+", Some("hi???>")),
            ("aGk_Pz8-", Some("hi???>")),
            ("aGk/Pz8 ", Some("hi???>")),
            ("aA==", Some("h")),
            ("aA=", Some("h")),
            ("aA", Some("h")),
            ("", Some("")),
            ("a", None),
            ("%%%", None),
            ("/w==", None),
        ] {
            assert_eq!(decode_base64(encoded).as_deref(), text, "{encoded}");
        }
    }

    #[test]
    fn queries_keep_their_order_and_what_is_no_text_is_told() {
        let query = read_query("a=1&b=x%20y+z&&c&d=%ff&a=2=3");
        let expected =
            [("a", Some("1")), ("b", Some("x y z")), ("c", Some("")), ("d", None), ("a", Some("2=3"))];
        let expected: Vec<_> =
            expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).into();
        assert_eq!(query, expected);
    }
}
