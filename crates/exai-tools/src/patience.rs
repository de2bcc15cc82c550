//! How long a client waits for an answer. A client that gives up drops what was paid for, so it is answered `running`
//! before that, with a reference by which it fetches the rest.

use std::time::Duration;

/// For a client that is not known: the TypeScript SDK gives up after 60 s, and not every client lets progress count.
const DEFAULT: Duration = Duration::from_secs(50);

/// The known clients, by the beginning of what they call themselves in `initialize`, and how long they wait for sure, also
/// if they hear of no progress: a model may think in silence. Codex is none of them: 0.171 waits 300 s, earlier ones 60 s.
const KNOWN: &[(&str, Duration)] = &[
    ("claude-code", Duration::from_secs(110)), // 2.1.332 has waited 400 s; others were reported to give up at 120 s
    ("copilot-cli", Duration::from_secs(170)), // 180 s after the last progress
    ("gemini-cli", Duration::from_mins(9)),    // `timeout` of 600 s by default
    ("qwen-cli", Duration::from_secs(280)),    // 300 s after the last progress
    ("exai", Duration::from_mins(14)),         // `exai call` and the origin's shim wait for `call_timeout`
];

/// How long a client is sure to wait.
pub(crate) fn of(client: Option<&str>, configured: Option<Duration>) -> Duration {
    let known = client.and_then(|name| KNOWN.iter().find(|(start, _)| name.starts_with(start)));
    configured.unwrap_or(known.map_or(DEFAULT, |(_, patience)| *patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_as_long_as_it_is_known_to() {
        assert_eq!(of(None, None), DEFAULT);
        assert_eq!(of(Some("claude-ai"), None), DEFAULT);
        assert_eq!(of(Some("gemini-cli-mcp-client-exai"), None), Duration::from_mins(9));
        assert_eq!(of(Some("qwen-cli-mcp-client-exai"), None), Duration::from_secs(280));
        assert_eq!(of(Some("copilot-cli"), None), Duration::from_secs(170));
        assert_eq!(of(Some("gemini-cli-mcp-client"), Some(Duration::from_secs(5))), Duration::from_secs(5));
    }
}
