//! What the configuration says about each server, as far as routing is concerned.

use std::sync::Arc;
use std::time::Duration;

use crate::types::ids::ClientId;

/// How clients share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Clients that declare the same capabilities share.
    Auto,
    /// All clients share; no client capability is declared to the server.
    Shared,
    /// Each client has its own.
    Client,
}

/// One server's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// Differs whenever the server would have to be started differently.
    pub revision: u64,
    /// Who shares.
    pub share: Share,
    /// How long a start may take, `initialize` included.
    pub start_timeout: Duration,
    /// How long a call may be silent; progress resets it.
    pub call_timeout: Duration,
    /// How long an instance without clients is kept.
    pub idle_stop: Duration,
    /// Whether it runs even while nobody uses it.
    pub eager: bool,
    /// Which tools may be seen and called.
    pub tools: ToolFilter,
    /// Whether only one instance of it can run at a time, so that the next waits for the end of the last: it has a
    /// port of its own.
    pub one_at_a_time: bool,
    /// How many unasked ends within a minute it is allowed before it is started no more; 0 for any number.
    pub crash_limit: u32,
    /// Whether what it says of its tools (`annotations`) is believed.
    pub trusted: bool,
}

/// Which tools of a server may be seen and called: those some `allow` pattern matches and no `deny` pattern.
/// `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFilter {
    /// Patterns of tools that may be used.
    pub allow: Vec<String>,
    /// Patterns of tools that may not, whatever `allow` says.
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
    /// What is declared to the server: the client's capabilities, as [`crate::types::capability::ASKS`] names them, as JSON with
    /// sorted keys. A server is told once, for all its clients, so they must agree.
    pub capabilities: Arc<str>,
    /// It makes no difference what was declared: any instance that is nobody's own will do.
    pub any: bool,
    /// The client, where it has an instance to itself.
    pub client: Option<ClientId>,
}

impl ShareKey {
    /// The key of all clients that declare this.
    pub(crate) fn common(capabilities: impl Into<Arc<str>>) -> Self {
        ShareKey { capabilities: capabilities.into(), any: false, client: None }
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
