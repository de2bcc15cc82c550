//! The names and numbers of the modern era of MCP: the revision 2026-07-28.
//!
//! In this era no session is opened: each request says in its `_meta` which revision it is written in, and what its
//! client can do (basic/index of the specification).

use std::ops::Range;

use crate::{json, version};

/// The member of `_meta` that says which revision a request is written in. A message that has it is a modern one.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The member of `_meta` with the name and version of the client. A request should have it.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The member of `_meta` with what the client of a request can do. A request must have it.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The member of `_meta` that says which log messages a client wants during a request. Without it: none.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The member of `_meta` by which a notification names the `subscriptions/listen` that it belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The member of `_meta` of a result with the name and version of the server.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The code of an error: the headers of an HTTP request contradict its body, or are missing.
pub const HEADER_MISMATCH: i32 = -32020;
/// The code of an error: the client has not declared what a request needs.
pub const MISSING_CAPABILITY: i32 = -32021;
/// The code of an error: the revision is not supported. Its `data` has `supported` and `requested`.
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// The code of an error object, if it is a number that can be one.
pub fn error_code(text: &[u8], error: Range<usize>) -> Option<i32> {
    let code = json::find(text, error, "code")?;
    std::str::from_utf8(&text[code]).ok()?.parse().ok()
}

/// Whether an error object refuses a revision and says that the modern one is supported.
pub fn offers_modern(text: &[u8], error: Range<usize>) -> bool {
    let supported = json::find_path(text, error.clone(), &["data", "supported"]);
    error_code(text, error) == Some(UNSUPPORTED_VERSION)
        && supported.is_some_and(|all| {
            let mut names = json::elements(text, all).filter_map(|one| json::string(text, one));
            names.any(|name| name == version::MODERN)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_that_names_the_revision_offers_it() {
        for (error, code, offers) in [
            (r#"{"code":-32022,"message":"m","data":{"supported":["x","2026-07-28"]}}"#, Some(-32022), true),
            (r#"{"code":-32022,"message":"m","data":{"supported":["2025-11-25"]}}"#, Some(-32022), false),
            (r#"{"code":-32022,"message":"m"}"#, Some(-32022), false),
            (r#"{"code":-32601,"message":"m","data":{"supported":["2026-07-28"]}}"#, Some(-32601), false),
            (r#"{"code":"x","data":{"supported":["2026-07-28"]}}"#, None, false),
        ] {
            let text = error.as_bytes();
            assert_eq!(
                (error_code(text, 0..text.len()), offers_modern(text, 0..text.len())),
                (code, offers),
                "{error}"
            );
        }
    }
}
