//! Versions: revisions of the Model Context Protocol, and builds of exai.
//!
//! Revisions are dates, so they sort as text. Everything before 2026-07-28 begins with `initialize`. Builds are
//! semantic versions.

use semver::Version;

/// The newest revision that begins with `initialize`; what exai asks servers for.
pub const NEWEST_LEGACY: &str = "2025-11-25";

/// The revision without sessions: see [`crate::modern`].
pub const MODERN: &str = "2026-07-28";

/// The revision that allows JSON-RPC batches; it is the only one.
pub const WITH_BATCHES: &str = "2025-03-26";

/// The revision of a Streamable HTTP request without an `MCP-Protocol-Version` header, by the specification.
pub const HTTP_DEFAULT: &str = "2025-03-26";

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", NEWEST_LEGACY];

/// The revisions that a client can speak with exai, the newest first. `modern` says whether the modern one is among
/// them.
pub fn supported(modern: bool) -> impl Iterator<Item = &'static str> {
    modern.then_some(MODERN).into_iter().chain(LEGACY.into_iter().rev())
}

/// Whether `version` is a revision that begins with `initialize` and that exai knows.
pub fn is_known_legacy(version: &str) -> bool {
    LEGACY.contains(&version)
}

/// Whether `version` is the date of a revision without sessions, also of one that exai does not know.
pub fn is_modern(version: &str) -> bool {
    let is_date =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    version.len() == MODERN.len() && version.bytes().enumerate().all(is_date) && version >= MODERN
}

/// The revision to answer a client with: its own if exai knows it and it is not newer than what was
/// negotiated with the server, else the server's.
pub fn answered<'a>(client: &'a str, server: &'a str) -> &'a str {
    if is_known_legacy(client) && client <= server { client } else { server }
}

/// Whether one build of exai is newer than another. A text that is no semantic version is newer than no build.
pub fn is_newer(build: &str, than: &str) -> bool {
    let parsed = |text| Version::parse(text).ok();
    // Metadata of a build says nothing about its age.
    parsed(build).zip(parsed(than)).is_some_and(|(build, than)| build.cmp_precedence(&than).is_gt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_compared_by_number() {
        for (build, than) in [("0.10.0", "0.9.1"), ("1.0.0", "1.0.0-rc.2"), ("1.0.0-rc.10", "1.0.0-rc.9")] {
            assert!(is_newer(build, than) && !is_newer(than, build), "{build} and {than}");
        }
        for (build, than) in
            [("0.1.0", "0.1.0"), ("0.1.0+b", "0.1.0+a"), ("", "0.1.0"), ("x", "0.1.0"), ("2", "1")]
        {
            assert!(!is_newer(build, than), "{build} and {than}");
        }
    }

    #[test]
    fn a_revision_is_modern_by_its_date() {
        for modern in [MODERN, "2026-07-29", "2027-01-01", "9999-12-31"] {
            assert!(is_modern(modern), "{modern}");
        }
        for other in [NEWEST_LEGACY, "2026-07-27", "", "v999.0.0", "2026-07-280", "2026/07/28", "2026-07-2x"]
        {
            assert!(!is_modern(other), "{other}");
        }
    }

    #[test]
    fn an_older_client_keeps_its_version_and_a_newer_or_unknown_one_gets_the_servers() {
        assert_eq!(answered("2024-11-05", "2025-11-25"), "2024-11-05");
        assert_eq!(answered("2025-11-25", "2025-06-18"), "2025-06-18");
        assert_eq!(answered("1999-01-01", "2025-06-18"), "2025-06-18");
    }
}
