//! `exai selftest-server`: an MCP server that is on every machine which has exai.

use std::io::{self, BufRead as _};
use std::process::{Child, Command, Stdio};

use exai_proto::exit;
use serde_json::{Value, json};

use crate::cli::SelftestServerArgs;
use crate::error::Error;
use crate::limits::STUBBORN_STAY;
use crate::printer::Printer;

pub(crate) fn run(args: &SelftestServerArgs, printer: &Printer) -> Result<u8, Error> {
    let children: Result<Vec<Child>, Error> = (0..args.children).map(|_| child()).collect();
    // Each has a pipe from us as its stdin and ends with it.
    let _children = children?;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(answer) = serde_json::from_str(&line).ok().and_then(|message| answer(&message)) {
            printer.json(&answer)?;
        }
    }
    if args.stubborn {
        std::thread::sleep(STUBBORN_STAY);
    }
    Ok(exit::DONE)
}

fn child() -> Result<Child, Error> {
    let start = |exe| {
        let mut command = Command::new(exe);
        command.arg("selftest-server").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
    };
    std::env::current_exe()
        .and_then(start)
        .map_err(|error| Error::failed(format!("cannot start a child: {error}")))
}

/// Notifications and answers get none.
fn answer(message: &Value) -> Option<Value> {
    let (id, method) = (message.get("id")?, message.get("method")?.as_str()?);
    let params = &message["params"];
    let result = match method {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "exai-selftest", "version": env!("CARGO_PKG_VERSION")},
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": [
            tool("echo", "Returns the text", &json!({"text": {"type": "string"}})),
            tool("pid", "Returns the process id of this server", &json!({})),
        ]}),
        "tools/call" => {
            let text = match params["name"].as_str() {
                Some("echo") => params["arguments"]["text"].as_str().unwrap_or_default().to_owned(),
                Some("pid") => std::process::id().to_string(),
                Some(_) | None => return Some(error(id, -32602, "unknown tool")),
            };
            json!({"content": [{"type": "text", "text": text}]})
        }
        _ => return Some(error(id, -32601, "method not found")),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn tool(name: &str, description: &str, properties: &Value) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
    })
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_and_notifications_are_not() {
        let call =
            json!({"id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}});
        let answered = answer(&call).unwrap();
        assert_eq!((&answered["id"], &answered["result"]["content"][0]["text"]), (&json!(7), &json!("x")));
        assert_eq!(answer(&json!({"method": "notifications/initialized"})), None);
        assert_eq!(answer(&json!({"id": 1, "result": {}})), None);
        assert_eq!(answer(&json!({"id": 1, "method": "server/discover"})).unwrap()["error"]["code"], -32601);
    }
}
