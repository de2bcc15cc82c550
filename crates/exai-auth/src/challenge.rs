//! What a server that refuses a request says about signing in.

use hyper::HeaderMap;
use hyper::header::WWW_AUTHENTICATE;

use crate::scopes::Scopes;

/// The longest header that is read.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// The parameters of a `Bearer` challenge in `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the metadata of the resource are (RFC 9728, section 5.1).
    pub resource_metadata: Option<String>,
    /// What the request needs.
    pub scopes: Option<Scopes>,
    /// The code of the error: `invalid_token`, `insufficient_scope`.
    pub error: Option<String>,
}

impl Challenge {
    /// Reads the first `Bearer` challenge of these headers; the default where there is none.
    pub fn read(headers: &HeaderMap) -> Self {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        texts.filter(|text| text.len() <= MAX_HEADER_BYTES).find_map(read_bearer).unwrap_or_default()
    }

    /// Whether the server says that the token lacks a scope.
    pub fn lacks_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

/// The parameters of the `Bearer` challenge in one header, which may have challenges of several schemes.
fn read_bearer(text: &str) -> Option<Challenge> {
    let mut found: Option<Challenge> = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let (word, after) = rest.split_at(rest.find(|c| !is_token(c)).unwrap_or(rest.len()));
        if word.is_empty() {
            // The rest of a credential in base64, or nothing that a challenge has.
            let Some((_, next)) = rest.split_once(',') else { return found };
            rest = next;
            continue;
        }
        let value =
            after.trim_start_matches([' ', '\t']).strip_prefix('=').filter(|_| !after.starts_with("=="));
        let Some(value) = value else {
            // A scheme begins. The parameters of the one before are complete.
            if found.is_some() {
                return found;
            }
            found = word.eq_ignore_ascii_case("bearer").then(Challenge::default);
            rest = after;
            continue;
        };
        let (value, after) = read_value(value.trim_start_matches([' ', '\t']))?;
        rest = after;
        if let Some(challenge) = &mut found {
            match word.to_ascii_lowercase().as_str() {
                "resource_metadata" => challenge.resource_metadata = Some(value),
                "scope" => challenge.scopes = Some(Scopes::read(&value)),
                "error" => challenge.error = Some(value),
                _ => {}
            }
        }
    }
}

/// A token or a quoted text, and what follows. `None` when the quotes do not end.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str]) -> Challenge {
        let values = headers.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap()));
        Challenge::read(&values.collect())
    }

    #[test]
    fn parameters_are_found_among_other_challenges() {
        let full =
            r#"Bearer error="insufficient_scope", scope="a  b", resource_metadata="https://x/y,z", x=1"#;
        let expected = Challenge {
            resource_metadata: Some("https://x/y,z".to_owned()),
            scopes: Some(Scopes::read("a b")),
            error: Some("insufficient_scope".to_owned()),
        };
        assert_eq!(read(&[full]), expected);
        assert!(expected.lacks_scope());
        assert_eq!(read(&["Basic realm=\"x\"", full]), expected);
        let behind =
            format!(r#"Digest realm="a\"b, Bearer scope=no", nonce=abc, {full}, Basic scope="other""#);
        assert_eq!(read(&[&behind]), expected);
        assert_eq!(read(&[&format!("Negotiate ab/c+d==, {full}")]), expected);
        assert_eq!(read(&["bearer SCOPE=a"]).scopes, Some(Scopes::read("a")));
        assert_eq!(read(&["Bearer scope = \"a\""]).scopes, Some(Scopes::read("a")));
    }

    #[test]
    fn what_is_no_challenge_says_nothing() {
        for nothing in [
            "",
            "Bearer",
            "Basic scope=\"a\"",
            "Negotiate abc==",
            ",,,",
            "=",
            "\"Bearer\"",
            "Bearer scope=\"a",
        ] {
            assert_eq!(read(&[nothing]), Challenge::default(), "{nothing}");
        }
        let long = format!("Bearer scope=\"{}\"", "a".repeat(MAX_HEADER_BYTES));
        assert_eq!(read(&[&long]), Challenge::default());
    }
}
