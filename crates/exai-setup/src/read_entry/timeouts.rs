//! How long a start and a call may take, as the entry of a server says it.

use std::time::Duration;

use super::rules::TimeoutMeaning;
use crate::ServerEntry;
use crate::node::Node;

const SECONDS: f64 = 1.0;
const MILLISECONDS: f64 = 0.001;

/// Reads the times. A time that is none is left out. `false` if nobody knows in what unit `timeout` is.
pub(crate) fn read_timeouts(node: Node<'_>, meaning: TimeoutMeaning, entry: &mut ServerEntry) -> bool {
    let time = |key: &str, unit: f64| read_time(node.get(key), unit);
    let meaning = if meaning == TimeoutMeaning::OfEntry { guess_meaning(node) } else { Some(meaning) };
    match meaning {
        Some(TimeoutMeaning::CallMilliseconds) => entry.call_timeout = time("timeout", MILLISECONDS),
        Some(TimeoutMeaning::CallSeconds) => entry.call_timeout = time("timeout", SECONDS),
        Some(TimeoutMeaning::StartMilliseconds) => entry.start_timeout = time("timeout", MILLISECONDS),
        Some(TimeoutMeaning::Unknown | TimeoutMeaning::OfEntry) | None => {}
    }
    // opencode's next configuration has both, in milliseconds.
    if let Some(both) = node.get("timeout").filter(|both| both.members().is_some()) {
        entry.start_timeout = read_time(both.get("startup"), MILLISECONDS);
        entry.call_timeout = read_time(both.get("request"), MILLISECONDS);
    }
    // Codex and Continue.
    let start = time("startup_timeout_sec", SECONDS)
        .or_else(|| time("startup_timeout_ms", MILLISECONDS))
        .or_else(|| time("connectionTimeout", MILLISECONDS));
    entry.start_timeout = start.or(entry.start_timeout);
    entry.call_timeout = time("tool_timeout_sec", SECONDS).or(entry.call_timeout);
    meaning.is_some() || node.get("timeout").and_then(|timeout| timeout.value.as_number()).is_none()
}

/// What `timeout` means in the entry of a client that is not known.
fn guess_meaning(node: Node<'_>) -> Option<TimeoutMeaning> {
    let has = |keys: &[&str]| node.get_any(keys).is_some();
    // Gemini CLI and Qwen Code: <https://geminicli.com/docs/tools/mcp-server/>
    if has(&["httpUrl", "trust", "includeTools", "excludeTools"]) {
        return Some(TimeoutMeaning::CallMilliseconds);
    }
    // Cline and Roo Code: <https://docs.cline.bot/mcp/mcp-overview>, <https://docs.roocode.com/features/mcp/using-mcp-in-roo>
    let is_streamable = node.get("type").and_then(Node::as_text) == Some("streamableHttp");
    (is_streamable || has(&["autoApprove", "alwaysAllow"])).then_some(TimeoutMeaning::CallSeconds)
}

/// A time in a unit of so many seconds; `None` for 0 and for more than a year, which mean nothing.
fn read_time(node: Option<Node<'_>>, unit: f64) -> Option<Duration> {
    let seconds = node?.value.as_number()? * unit;
    (seconds > 0.0 && seconds < 31_536_000.0).then(|| Duration::from_secs_f64(seconds))
}
