//! Names in the MCP registry: `io.github.owner/server`, or with a version `io.github.owner/server@1.0.2`.
//!
//! <https://github.com/modelcontextprotocol/registry/blob/main/docs/reference/api/generic-registry-api.md>

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::SourceError;

/// How long a name and a version may be, in characters (`server.schema.json`).
const MAX_NAME: usize = 200;
const MAX_VERSION: usize = 255;

/// What stays as it is in a segment of a URL's path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The name of a server in the MCP registry, and the version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryName {
    name: String,
    version: Option<String>,
}

impl RegistryName {
    /// Whether a text is meant as a name of the registry, and no path, no scope of npm and no URL: the part before the
    /// slash is a domain in reverse. A file with that name is meant first, which only the caller can see.
    pub fn is_meant(text: &str) -> bool {
        let Some((namespace, rest)) = text.split_once('/') else { return false };
        let is_domain = namespace.contains('.') && namespace.split('.').all(|label| !label.is_empty());
        is_domain && is_namespace(namespace) && !rest.contains('/') && !rest.is_empty()
    }

    /// Parses `namespace/name` or `namespace/name@version`. The version `latest` is the same as none.
    pub fn parse(text: &str) -> Result<RegistryName, SourceError> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        check_name(name)?;
        if let Some(version) = version {
            check_version(version)?;
        }
        let version = version.filter(|version| *version != "latest").map(str::to_owned);
        Ok(RegistryName { name: name.to_owned(), version })
    }

    /// The name without the version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, if it is not the latest one that is wanted.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The path that answers with this server: `/v0.1/servers/io.github.owner%2Fserver/versions/latest`.
    pub fn url_path(&self) -> String {
        let encode = |text| utf8_percent_encode(text, SEGMENT);
        let version = self.version.as_deref().unwrap_or("latest");
        format!("/v0.1/servers/{}/versions/{}", encode(&self.name), encode(version))
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.iter().try_for_each(|version| write!(f, "@{version}"))
    }
}

fn is_namespace(namespace: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-');
    !namespace.is_empty() && namespace.chars().all(allowed)
}

/// `^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$`, and nothing that is a step in a path.
pub(crate) fn check_name(name: &str) -> Result<(), SourceError> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let is_valid = name.split_once('/').is_some_and(|(namespace, name)| {
        let is_step = |part: &str| matches!(part, "." | "..");
        is_namespace(namespace)
            && !name.is_empty()
            && name.chars().all(allowed)
            && !is_step(namespace)
            && !is_step(name)
    });
    if is_valid && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(SourceError::new(format!(
        "a name in the registry is `namespace/name` of letters, digits, `.`, `-` and `_`, with at most {MAX_NAME} characters"
    )))
}

/// One version, and no range of versions.
pub(crate) fn check_version(version: &str) -> Result<(), SourceError> {
    let allowed = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '+' | '~' | '!')
    };
    let is_valid = version.starts_with(|first: char| first.is_ascii_alphanumeric())
        && version.len() <= MAX_VERSION
        && version.chars().all(allowed);
    if is_valid { Ok(()) } else { Err(SourceError::new("this is no version, or a range of versions")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_parsed_and_their_path_is_encoded() {
        for (text, name, version, path) in [
            (
                "io.github.domdomegg/airtable-mcp-server",
                "io.github.domdomegg/airtable-mcp-server",
                None,
                "io.github.domdomegg%2Fairtable-mcp-server/versions/latest",
            ),
            (
                "com.supabase/mcp@0.7.0",
                "com.supabase/mcp",
                Some("0.7.0"),
                "com.supabase%2Fmcp/versions/0.7.0",
            ),
            (
                "a.b/c_d@1.0.0-beta.1+x",
                "a.b/c_d",
                Some("1.0.0-beta.1+x"),
                "a.b%2Fc_d/versions/1.0.0-beta.1%2Bx",
            ),
            ("a.b/c@latest", "a.b/c", None, "a.b%2Fc/versions/latest"),
        ] {
            let parsed = RegistryName::parse(text).unwrap();
            assert_eq!((parsed.name(), parsed.version()), (name, version));
            assert_eq!(parsed.url_path(), format!("/v0.1/servers/{path}"));
            assert!(RegistryName::is_meant(text), "{text}");
        }
        assert_eq!(RegistryName::parse("a.b/c@1.0").unwrap().to_string(), "a.b/c@1.0");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("a.b/{}", "c".repeat(200));
        for bad in [
            "", "/", "a", "a/", "/b", "a/b/c", "../b", "a/..", "./a", "a b/c", "a/b?x", "a/b#x", "a/b%2e",
            "ä/b", &long,
        ] {
            assert!(RegistryName::parse(bad).is_err(), "{bad}");
        }
        for version in ["", "^1.0", "~1", ">=1", "1 - 2", "1/2", "..", "*", "1?x", "a@b"] {
            assert!(RegistryName::parse(&format!("a.b/c@{version}")).is_err(), "{version}");
        }
        for other in [
            "./server.json",
            "../x.y/z",
            "@scope/x",
            "a/b",
            "https://example.com/x",
            "dir/x.json",
            ".a/b",
            "a.b",
        ] {
            assert!(!RegistryName::is_meant(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_path_has_always_the_same_segments(text in "[a-c./@~+%?#!_-]{0,30}") {
            if let Ok(name) = RegistryName::parse(&text) {
                let path = name.url_path();
                prop_assert_eq!(path.split('/').count(), 6, "{}", path);
                prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
                prop_assert!(!path.contains(['?', '#']));
            }
        }
    }
}
