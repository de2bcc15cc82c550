//! Every method but `tools/call`.

use std::io::{self, Write};

use serde_json::Value;

use crate::answer::{Answer, INVALID_PARAMS, METHOD_NOT_FOUND, PARSE_ERROR};
use crate::output::VENDOR;
use crate::server::{LEVELS, Server, exit};
use crate::wire::{Message, quote};
use crate::{prompts, resources, tool_list, tools};

/// The protocol versions that this server knows, newest last.
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The member of `_meta` that each request of MCP 2026-07-28 has.
const MODERN_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Handles one line of input.
pub(crate) fn handle(server: &Server, line: &str) {
    if server.options.stderr_noise.is_some() {
        let _ = writeln!(io::stderr(), "fixture noise: {} bytes came in\nand more noise", line.len());
    }
    let Some(message) = Message::parse(line) else {
        server.output.error("null", PARSE_ERROR, "not a JSON object");
        return;
    };
    let params = message.params();
    match (&message.id, &message.method) {
        (Some(id), Some(method)) => request(server, id, method, &message, &params),
        (None, Some(method)) => notification(server, method, &params),
        (Some(id), None) => server.answered(id, message.outcome.unwrap_or_default()),
        (None, None) => {}
    }
}

fn request(server: &Server, id: &str, method: &str, message: &Message, params: &Value) {
    if server.options.exit_on_early && method != "initialize" && !server.state().initialized {
        exit(4);
    }
    if let Some(file) = server.options.initialize.as_ref().filter(|_| method == "initialize") {
        let text = std::fs::read_to_string(file).expect("the file can be read");
        return server.output.raw(id, text.replace("ID", id).as_bytes());
    }
    if server.options.dual && params["_meta"][MODERN_VERSION].is_string() {
        server.output.speak_modern();
    }
    let answer = match method {
        "server/discover" if server.options.dual => Ok(discover(server)),
        "initialize" => Ok(initialize(server, params)),
        "ping" => Ok("{}".to_owned()),
        "tools/list" => tool_list::list(server, params),
        "tools/call" => return tools::call(server, id, &message.params, params),
        "resources/list" => resources::list(params),
        "resources/templates/list" => Ok(resources::templates()),
        "resources/read" => resources::read(params),
        "resources/subscribe" => resources::subscribe(server, params, true),
        "resources/unsubscribe" => resources::subscribe(server, params, false),
        "prompts/list" => Ok(prompts::list()),
        "prompts/get" => prompts::get(params),
        "completion/complete" => prompts::complete(params),
        "logging/setLevel" => set_level(server, params),
        _ if server.options.silent_unknown => return,
        _ => Err((METHOD_NOT_FOUND, format!("Method not found: {method}"))),
    };
    match answer {
        Ok(result) => server.output.result(id, &result),
        Err((code, text)) => server.output.error(id, code, &text),
    }
}

fn notification(server: &Server, method: &str, params: &Value) {
    match method {
        "notifications/initialized" if server.options.ask_roots_at_start => {
            server.ask("roots/list", "{}", |_| {});
        }
        "notifications/cancelled" => {
            let id = params["requestId"].to_string();
            server.cancel(&id, params["reason"].as_str().unwrap_or_default());
        }
        _ => {}
    }
}

fn initialize(server: &Server, params: &Value) -> String {
    server.state().initialized = true;
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let newest = VERSIONS[VERSIONS.len() - 1];
    let version = VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(newest);
    let name = quote(server.options.name.as_deref().unwrap_or("fixture-server"));
    let instructions = quote(server.options.instructions.as_deref().unwrap_or("Call `echo` first."));
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true,"listChanged":true}},"prompts":{{"listChanged":true}},"logging":{{}},"completions":{{}},"experimental":{{"x-vendor":{{"a":1.0}}}},{VENDOR}}},"serverInfo":{{"name":{name},"version":"1.0.0","title":"Fixture",{VENDOR}}},"instructions":{instructions},"_meta":{{"x-vendor/build":1e2}},{VENDOR}}}"#
    )
}

/// It offers no notices, so that nobody listens for them.
fn discover(server: &Server) -> String {
    let name = quote(server.options.name.as_deref().unwrap_or("fixture-server"));
    format!(
        r#"{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}},"prompts":{{}}}},"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":{name},"version":"1.0.0"}}}},{VENDOR}}}"#
    )
}

fn set_level(server: &Server, params: &Value) -> Answer {
    let level = params["level"].as_str().unwrap_or_default();
    let index = LEVELS
        .iter()
        .position(|known| *known == level)
        .ok_or_else(|| (INVALID_PARAMS, format!("Unknown level: {level}")))?;
    server.state().log_level = index;
    Ok("{}".to_owned())
}
