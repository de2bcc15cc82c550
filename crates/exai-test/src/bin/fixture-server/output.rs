//! Everything the server writes to stdout.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::routes::Routes;
use crate::wire::quote;

/// Keys that no specification knows, with values that a re-serialiser would change: `1.0`, `1e2`, an escaped slash, an
/// escaped letter. Every result and every listed item has this member.
pub(crate) const VENDOR: &str = r#""x-vendor":{"a":1.0,"b":[1e2,-0.0],"c":"\u00e9 \/ \u2028","z":null}"#;

/// What each result of MCP 2026-07-28 has, where it has anything else.
const MODERN: &str = r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#;

/// Stdout, one whole message at a time.
pub(crate) struct Output {
    turn: Mutex<()>,
    /// Whether a client has spoken MCP 2026-07-28. A process speaks with its clients in one era.
    modern: AtomicBool,
    garbage: bool,
    bad_ids: bool,
    /// The requests and the stream that get all output instead of stdout, when the server speaks HTTP.
    routes: Option<Routes>,
}

impl Output {
    pub(crate) fn new(garbage: bool, bad_ids: bool, routes: Option<Routes>) -> Self {
        Self { turn: Mutex::new(()), modern: AtomicBool::new(false), garbage, bad_ids, routes }
    }

    pub(crate) fn speak_modern(&self) {
        self.modern.store(true, Ordering::Relaxed);
    }

    /// Answers the request `id` with `result`, the text of an object.
    pub(crate) fn result(&self, id: &str, result: &str) {
        let modern = if self.modern.load(Ordering::Relaxed) { MODERN } else { "" };
        let members = result.strip_prefix('{').filter(|_| !modern.is_empty());
        let result = members.map_or_else(|| result.to_owned(), |members| format!("{{{modern}{members}"));
        self.answer(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
    }

    /// Answers the request `id` with an error that carries vendor data.
    pub(crate) fn error(&self, id: &str, code: i64, message: &str) {
        let message = quote(message);
        self.answer(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message},"data":{{{VENDOR}}}}}}}"#
        ));
    }

    /// Sends a notification; `params` is the text of an object.
    pub(crate) fn notify(&self, method: &str, params: &str) {
        self.write(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
    }

    /// Sends a request of this server to the client.
    pub(crate) fn request(&self, id: &str, method: &str, params: &str) {
        self.write(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#));
    }

    /// Writes these bytes and a line end, whatever they are, to the place where the answer to `id` would go.
    pub(crate) fn raw(&self, id: &str, bytes: &[u8]) {
        match &self.routes {
            Some(routes) => routes.answer(id, &String::from_utf8_lossy(bytes)),
            None => self.write_line(bytes),
        }
    }

    fn answer(&self, line: String) {
        if self.bad_ids {
            self.write(r#"{"jsonrpc":"2.0","id":987654321,"result":{}}"#);
            self.write(r#"{"jsonrpc":"2.0","id":"never asked","error":{"code":1,"message":"no"}}"#);
            self.write(r#"{"jsonrpc":"2.0","id":null,"result":{}}"#);
        }
        self.write(&line);
    }

    fn write(&self, line: &str) {
        if let Some(routes) = &self.routes {
            return routes.write(line);
        }
        self.write_line(line.as_bytes());
    }

    fn write_line(&self, line: &[u8]) {
        // A thread that panicked during a write leaves nothing that could be repaired here.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::with_capacity(line.len() + 64);
        if self.garbage {
            bytes.extend_from_slice(b"[fixture] about to say something\n");
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        // The write fails when the client is gone. The client's closed stdin then ends this process.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&bytes).and_then(|()| stdout.flush());
    }
}
