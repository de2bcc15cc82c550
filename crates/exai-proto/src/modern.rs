//! The names and numbers of the modern era of MCP: the revision 2026-07-28.
//!
//! In this era no session is opened: each request says in its `_meta` which revision it is written in, and what its
//! client can do (basic/index of the specification).

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
