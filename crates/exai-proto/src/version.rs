//! Revisions of the Model Context Protocol.
//!
//! Revisions are dates, so they sort as text. Everything before 2026-07-28 begins with `initialize`.

/// The newest revision that begins with `initialize`; what exai asks servers for.
pub const NEWEST_LEGACY: &str = "2025-11-25";

/// The revision that allows JSON-RPC batches; it is the only one.
pub const WITH_BATCHES: &str = "2025-03-26";

/// What a Streamable HTTP request without an `MCP-Protocol-Version` header speaks, by the specification.
pub const HTTP_DEFAULT: &str = "2025-03-26";

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", NEWEST_LEGACY];

/// Whether `version` is a revision that begins with `initialize` and that exai knows.
pub fn is_known_legacy(version: &str) -> bool {
    LEGACY.contains(&version)
}

/// The revision to answer a client with: its own if exai knows it and it is not newer than what was
/// negotiated with the server, else the server's.
pub fn answered<'a>(client: &'a str, server: &'a str) -> &'a str {
    if is_known_legacy(client) && client <= server { client } else { server }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_client_keeps_its_version_and_a_newer_or_unknown_one_gets_the_servers() {
        assert_eq!(answered("2024-11-05", "2025-11-25"), "2024-11-05");
        assert_eq!(answered("2025-11-25", "2025-06-18"), "2025-06-18");
        assert_eq!(answered("1999-01-01", "2025-06-18"), "2025-06-18");
    }
}
