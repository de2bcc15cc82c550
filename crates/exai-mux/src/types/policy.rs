//! What the configuration says about each server, as far as routing is concerned.

use std::sync::Arc;
use std::time::Duration;

use crate::types::era::Era;
use crate::types::ids::ClientId;

/// How clients share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Clients that declare the same capabilities share.
    Auto,
    /// All clients share; no client capability is declared to the server.
    Shared,
    /// Each client has an instance of its own.
    Client,
    /// Each client has a session of its own where the server has sessions, in the legacy era. In the modern era all share.
    Session,
}

impl Share {
    /// Whether each client has an instance of its own in the legacy era.
    pub(crate) fn is_separate_in_sessions(self) -> bool {
        matches!(self, Share::Client | Share::Session)
    }
}

/// The rules for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The name of the server.
    pub name: Arc<str>,
    /// A number that differs whenever the server must be started differently.
    pub revision: u64,
    /// How clients share the server.
    pub share: Share,
    /// How long the start may take, with `initialize`.
    pub start_timeout: Duration,
    /// How long a call may be silent. Progress starts the time anew.
    pub call_timeout: Duration,
    /// How long an instance without clients is kept.
    pub idle_stop: Duration,
    /// Whether the server runs without clients.
    pub eager: bool,
    /// Which tools may be seen and called.
    pub tools: ToolFilter,
    /// Whether only one instance can run at a time, so that the next waits for the end of the last: the server has a
    /// port of its own.
    pub one_at_a_time: bool,
    /// How often the server may end unasked within a minute before it is started no more; 0 for any number.
    pub crash_limit: u32,
    /// Whether what the server says of its tools (`annotations`) is believed.
    pub trusted: bool,
    /// The era in which the server is spoken to; `None` to find out which it speaks.
    pub era: Option<Era>,
    /// Whether clients of the modern era are served on the server's own endpoint though the server speaks the legacy
    /// era, and may be asked what it asks.
    pub bridge: bool,
}

/// Which tools of a server may be seen and called: those that match an `allow` pattern and no `deny` pattern. `*`
/// stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFilter {
    /// Patterns of tools that may be used.
    pub allow: Vec<String>,
    /// Patterns of tools that may not be used, whatever `allow` says.
    pub deny: Vec<String>,
}

impl Default for ToolFilter {
    fn default() -> Self {
        ToolFilter { allow: vec!["*".into()], deny: Vec::new() }
    }
}

impl ToolFilter {
    /// Whether every tool passes.
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.allow.iter().any(|pattern| pattern == "*")
    }

    /// Whether this tool passes.
    pub fn allows(&self, tool: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, tool));
        any(&self.allow) && !any(&self.deny)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Clients with equal keys use the same instance of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShareKey {
    /// The era in which the server is spoken to.
    pub era: Era,
    /// What is declared to the server: the capabilities of the client that [`crate::behaviour::CLIENT_CAPABILITIES`] names,
    /// as JSON with sorted keys. A server is told once, for all its clients, so these must agree.
    pub capabilities: Arc<str>,
    /// Whether it makes no difference to the server what is declared: then any instance will do that belongs to no
    /// single client.
    pub any: bool,
    /// The client that has the instance to itself, if any.
    pub client: Option<ClientId>,
    /// Whether the clients are of the modern era, and the server of the legacy one: what such a server asks must never
    /// reach a session.
    pub bridged: bool,
}

impl ShareKey {
    /// The key of the instances that serve the same clients in an era. In the modern era each request says what its
    /// client can do, so nothing is declared to a server for all.
    pub(crate) fn in_era(&self, era: Era) -> Self {
        match era {
            Era::Legacy => ShareKey { era, ..self.clone() },
            Era::Modern => {
                ShareKey { era, capabilities: "{}".into(), any: false, client: self.client, bridged: false }
            }
        }
    }

    /// The key of all clients that declare this.
    pub(crate) fn common(capabilities: impl Into<Arc<str>>) -> Self {
        ShareKey {
            era: Era::Legacy,
            capabilities: capabilities.into(),
            any: false,
            client: None,
            bridged: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let filter = |allow: &[&str], deny: &[&str]| ToolFilter {
            allow: allow.iter().map(ToString::to_string).collect(),
            deny: deny.iter().map(ToString::to_string).collect(),
        };
        assert!(ToolFilter::default().is_open() && ToolFilter::default().allows("x"));
        assert!(!filter(&[], &[]).allows("x"));
        assert!(filter(&["read_*"], &[]).allows("read_file"));
        assert!(!filter(&["read_*"], &[]).allows("write_file"));
        assert!(!filter(&["*"], &["*delete*"]).allows("x_delete_y"));
        assert!(filter(&["a*b*c"], &[]).allows("a1b2c"));
        assert!(!filter(&["a*b*c"], &[]).allows("a1c2b"));
        assert!(!filter(&["a*a"], &[]).allows("a") && !filter(&["*b"], &[]).allows("ba"));
        assert!(filter(&["exact"], &[]).allows("exact"));
    }
}
