//! Answers, and the errors of OAuth.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::scripted_http::document;

/// An answer, before it is bytes.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = "Content-Type: application/json\r\nCache-Control: no-store\r\n".to_owned();
        Answer { status, headers, body: body.to_string() }
    }

    /// A web page.
    pub(super) fn page(status: u16, body: &str) -> Self {
        let headers = "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n".to_owned();
        Answer { status, headers, body: format!("<!doctype html><title>Test sign-in</title>{body}") }
    }

    pub(super) fn plain(status: u16, body: &str) -> Self {
        Answer { status, headers: "Content-Type: text/plain\r\n".to_owned(), body: body.to_owned() }
    }

    /// Sends a browser elsewhere, and never with what it has posted.
    pub(super) fn redirect(to: &str) -> Self {
        Answer::page(303, "").with("Location", to)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        document(self.status, &self.headers, &self.body)
    }
}

/// An error of OAuth.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, why: &str) -> Self {
        Refusal { status: 400, code, why: why.to_owned() }
    }

    pub(super) fn answer(&self) -> Answer {
        let body = json!({"error": self.code, "error_description": self.why});
        let answer = Answer::json(self.status, &body);
        // RFC 6749 wants a challenge with this status.
        if self.status == 401 { answer.with("WWW-Authenticate", "Basic realm=\"tokens\"") } else { answer }
    }
}
