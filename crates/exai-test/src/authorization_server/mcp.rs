//! A small MCP server over HTTP, of both eras, whose tools say who has come. Every answer is one document.

use serde_json::{Value, json};

use super::answer::Answer;
use crate::http::Request;

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Whom a token stands for.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) account: String,
    pub(super) client: String,
    pub(super) scopes: Vec<String>,
}

/// Answers a request of somebody who was let in.
pub(super) fn answer(request: &Request, visitor: &Visitor) -> Answer {
    if request.method != "POST" {
        return Answer::plain(405, "").with("Allow", "POST");
    }
    let accept = request.header("accept").unwrap_or_default();
    if !["application/json", "text/event-stream"].iter().all(|kind| accept.contains(kind)) {
        return Answer::plain(406, "accept JSON and events");
    }
    let message: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let id = &message["id"];
    let Some(method) = message["method"].as_str().filter(|_| message["jsonrpc"] == "2.0") else {
        return error(400, id, -32600, "no message");
    };
    if id.is_null() {
        return Answer::plain(202, "");
    }
    let in_body = message["params"]["_meta"][VERSION_KEY].as_str();
    let in_header = request.header("mcp-protocol-version");
    let is_modern = in_body.is_some() || in_header == Some(MODERN) && method != "initialize";
    if let Some(refusal) = is_modern.then(|| check_modern(request, &message, method)).flatten() {
        return refusal;
    }
    let result = match (method, is_modern) {
        ("initialize", false) => begin(&message),
        ("ping", false) => json!({}),
        ("server/discover", true) => json!({
            "supportedVersions": [MODERN, LEGACY[0]],
            "capabilities": {"tools": {}},
        }),
        ("tools/list", _) => json!({"tools": tools()}),
        ("tools/call", _) => match message["params"]["name"].as_str() {
            Some("whoami") => said(visitor),
            Some("admin") => json!({"content": [{"type": "text", "text": "done"}]}),
            _ => return error(if is_modern { 400 } else { 200 }, id, -32602, "no such tool"),
        },
        _ => return error(if is_modern { 404 } else { 200 }, id, -32601, "no such method"),
    };
    let result = if is_modern { complete(method, result) } else { result };
    Answer::json(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn begin(message: &Value) -> Value {
    let asked = message["params"]["protocolVersion"].as_str();
    let version = LEGACY.iter().find(|version| Some(**version) == asked).unwrap_or(&LEGACY[0]);
    json!({"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server_info()})
}

/// Refuses a modern request that does not say everything about itself, or whose headers contradict its body.
fn check_modern(request: &Request, message: &Value, method: &str) -> Option<Answer> {
    let (id, meta) = (&message["id"], &message["params"]["_meta"]);
    let Some(version) = meta[VERSION_KEY].as_str() else {
        return Some(error(400, id, -32602, "_meta needs the version"));
    };
    let name = message["params"]["name"].as_str().filter(|_| method == "tools/call");
    let headers = [("mcp-protocol-version", Some(version)), ("mcp-method", Some(method)), ("mcp-name", name)];
    if headers.iter().any(|(header, said)| said.is_some() && request.header(header) != *said) {
        return Some(error(400, id, -32020, "a header does not say what the body says"));
    }
    if version != MODERN {
        let data = json!({"supported": [MODERN, LEGACY[0]], "requested": version});
        let error = json!({"code": -32022, "message": "another version, please", "data": data});
        return Some(Answer::json(400, &json!({"jsonrpc": "2.0", "id": id, "error": error})));
    }
    (!meta[CAPABILITIES_KEY].is_object()).then(|| error(400, id, -32602, "_meta needs the capabilities"))
}

/// Adds what each modern result has.
fn complete(method: &str, mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result["_meta"] = json!({SERVER_KEY: server_info()});
    if method != "tools/call" {
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("private");
    }
    result
}

fn server_info() -> Value {
    json!({"name": "protected", "version": "1.0.0"})
}

fn tools() -> Value {
    let tool = |name: &str, description: &str| json!({"name": name, "description": description, "inputSchema": {"type": "object"}});
    json!([tool("whoami", "Says whom the token stands for."), tool("admin", "Needs the scope admin.")])
}

fn said(visitor: &Visitor) -> Value {
    let Visitor { account, client, scopes } = visitor;
    let said = json!({"account": account, "client": client, "scopes": scopes});
    json!({"content": [{"type": "text", "text": said.to_string()}], "structuredContent": said})
}

fn error(status: u16, id: &Value, code: i64, why: &str) -> Answer {
    let error = json!({"code": code, "message": why});
    Answer::json(status, &json!({"jsonrpc": "2.0", "id": id, "error": error}))
}
