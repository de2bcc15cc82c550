//! The text of requests, which is written before the clock runs.

/// The name of the echo tool on a server's own endpoint.
pub(crate) const ECHO: &str = "echo";

/// As many requests as may be in flight, one after the other. From call to call only the digits of the ids change, but
/// not their number, so all requests have one length, and so have all answers.
pub(crate) struct Requests {
    text: Vec<u8>,
    /// The length of one request with its newline.
    length: usize,
    next_id: u32,
}

const HEAD: &str = r#"{"jsonrpc":"2.0","id":"#;
const DIGITS: usize = 8;
const FIRST_ID: u32 = 10_000_000;

impl Requests {
    pub(crate) fn new(tool: &str, message: &str, in_flight: usize) -> Self {
        Requests::with(tool, message, in_flight, "")
    }

    /// The same in the modern era.
    pub(crate) fn modern(tool: &str, message: &str, in_flight: usize) -> Self {
        Requests::with(tool, message, in_flight, &format!(",{META}"))
    }

    fn with(tool: &str, message: &str, in_flight: usize, more: &str) -> Self {
        let params = format!(r#"{{"name":"{tool}","arguments":{{"message":"{message}"}}{more}}}"#);
        let one = format!("{HEAD}{FIRST_ID},\"method\":\"tools/call\",\"params\":{params}}}\n");
        Requests { text: one.repeat(in_flight).into_bytes(), length: one.len(), next_id: FIRST_ID }
    }

    /// The next `number` requests, which must not be more than may be in flight.
    pub(crate) fn next(&mut self, number: usize) -> &[u8] {
        let text = &mut self.text[..number * self.length];
        for request in text.chunks_exact_mut(self.length) {
            let mut rest = self.next_id;
            for digit in request[HEAD.len()..HEAD.len() + DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            self.next_id += 1;
        }
        text
    }
}

pub(crate) const INITIALIZE: &[u8] = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    "\n"
)
.as_bytes();

/// What a request of the modern era says of its client.
const META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}"#
);

/// `server/discover`.
pub(crate) fn discover() -> Vec<u8> {
    format!("{HEAD}1,\"method\":\"server/discover\",\"params\":{{{META}}}}}\n").into_bytes()
}

pub(crate) const INITIALIZED: &[u8] =
    concat!(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "\n").as_bytes();

pub(crate) const LIST: &[u8] = concat!(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#, "\n").as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ids_change() {
        let mut requests = Requests::new("echo", "x", 3);
        let ids = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).unwrap();
            let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone();
            text.lines().map(|line| id(line).as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ids(requests.next(2)), [10_000_000, 10_000_001]);
        assert_eq!(ids(requests.next(3)), [10_000_002, 10_000_003, 10_000_004]);
        assert!(requests.next(0).is_empty());
    }
}
