//! The ledger of requests.

use std::time::Instant;

use serde_json::Value;

/// A request that has come, and what became of its answer.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number, from 1 on.
    pub number: usize,
    /// GET or POST.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if it is no JSON.
    pub body: Value,
    /// When the first byte of the answer's body was sent.
    pub first_sent: Option<Instant>,
    /// What became of the answer.
    pub end: End,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is still being sent.
    Open,
    /// It was sent as planned.
    Sent,
    /// The client has closed the connection before that.
    CutByClient,
}

impl Seen {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Whether it asks a model, which costs money.
    pub fn is_chat(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        path.ends_with("/chat/completions") || path.ends_with("/messages")
    }
}
