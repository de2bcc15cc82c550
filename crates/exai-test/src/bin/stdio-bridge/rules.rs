//! What HTTP demands of a request, in both eras.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exai_test::http::Request;
use serde_json::{Value, json};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The versions of the legacy era, for which `MCP-Protocol-Version` is no more than a hint.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// An answer that the bridge gives itself.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refusal {
    pub(crate) fn plain(status: u16, why: &str) -> Self {
        Refusal::error(status, &Value::Null, -32600, why)
    }

    pub(crate) fn error(status: u16, id: &Value, code: i64, why: &str) -> Self {
        let error = json!({"code": code, "message": format!("stdio-bridge: {why}")});
        Refusal { status, body: json!({"jsonrpc": "2.0", "id": id, "error": error}) }
    }
}

/// Keeps web pages out: `Host` and `Origin` must be of this machine.
pub(crate) fn check_access(request: &Request) -> Result<(), Refusal> {
    let host = request.header("host").unwrap_or_default();
    let is_local = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["127.0.0.1", "localhost", "[::1]"].contains(&name)
    };
    let origin_is_local =
        request.header("origin").is_none_or(|origin| origin.strip_prefix("http://").is_some_and(is_local));
    if is_local(host) && origin_is_local { Ok(()) } else { Err(Refusal::plain(403, "not for this host")) }
}

pub(crate) fn check_post(request: &Request, message: &Value) -> Result<(), Refusal> {
    let accept = request.header("accept").unwrap_or_default();
    if !["application/json", "text/event-stream"].iter().all(|kind| accept.contains(kind)) {
        return Err(Refusal::plain(406, "accept JSON and events"));
    }
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(Refusal::plain(415, "send JSON"));
    }
    if !message.is_object() {
        return Err(Refusal::error(400, &Value::Null, -32700, "the body is no JSON object"));
    }
    Ok(())
}

/// Whether a message says of itself that it is of 2026-07-28, in its header or in its body.
pub(crate) fn is_modern(request: &Request, message: &Value) -> bool {
    let header = request.header("mcp-protocol-version");
    version(message).is_some() || header.is_some_and(|version| !LEGACY.contains(&version))
}

fn version(message: &Value) -> Option<&str> {
    message["params"]["_meta"][VERSION_KEY].as_str()
}

/// Whether the headers of a modern request say what its body says.
pub(crate) fn check_headers(request: &Request, message: &Value) -> Result<(), Refusal> {
    let method = message["method"].as_str().unwrap_or_default();
    let name = match method {
        "tools/call" | "prompts/get" => message["params"]["name"].as_str(),
        "resources/read" => message["params"]["uri"].as_str(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => message["params"]["taskId"].as_str(),
        _ => None,
    };
    // A body without a version is the server's to refuse.
    if version(message).is_some_and(|version| request.header("mcp-protocol-version") != Some(version)) {
        return Err(mismatch(message, "MCP-Protocol-Version"));
    }
    if request.header("mcp-method") != Some(method) {
        return Err(mismatch(message, "Mcp-Method"));
    }
    if name.is_some_and(|name| request.header("mcp-name").and_then(decoded).as_deref() != Some(name)) {
        return Err(mismatch(message, "Mcp-Name"));
    }
    Ok(())
}

/// The arguments that a tool wants to have in headers too: the names of tool, argument and header.
pub(crate) type Repeated = (String, String, String);

/// What the tools of a list want to have in headers.
pub(crate) fn repeated(tools: &Value) -> Vec<Repeated> {
    let mut found = Vec::new();
    for tool in tools.as_array().into_iter().flatten() {
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().into_iter().flatten() {
            if let (Some(name), Some(header)) = (tool["name"].as_str(), schema["x-mcp-header"].as_str()) {
                let header = format!("mcp-param-{}", header.to_ascii_lowercase());
                found.push((name.to_owned(), argument.clone(), header));
            }
        }
    }
    found
}

/// Whether the headers of a modern call repeat the arguments that its tool wants repeated.
pub(crate) fn check_repeated(request: &Request, message: &Value, all: &[Repeated]) -> Result<(), Refusal> {
    let params = &message["params"];
    for (_, argument, header) in all.iter().filter(|(tool, ..)| params["name"] == **tool) {
        let said = match &params["arguments"][argument] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let repeated = request.header(header).map(decoded);
        if said.map(Some) != repeated {
            return Err(mismatch(message, header));
        }
    }
    Ok(())
}

fn mismatch(message: &Value, header: &str) -> Refusal {
    Refusal::error(400, &message["id"], -32020, &format!("{header} does not say what the body says"))
}

/// The text that a header stands for; `None` if it is no text.
fn decoded(header: &str) -> Option<String> {
    let Some(encoded) = header.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(header.to_owned());
    };
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// The status for a modern response that is sent as a document.
pub(crate) fn status(response: &Value) -> u16 {
    match response["error"]["code"].as_i64() {
        Some(-32601) => 404,
        Some(-32020 | -32021 | -32022 | -32600 | -32602 | -32700) => 400,
        _ => 200,
    }
}
