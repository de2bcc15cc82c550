//! 2026-07-28: each request says everything about itself, and the client alone asks.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::{Outcome, Refusal};
use crate::message::{CAPABILITIES_KEY, Message, SERVER_KEY, VERSION_KEY};
use crate::methods;
use crate::options::Era;
use crate::server::Server;

const VERSION: &str = "2026-07-28";

pub(crate) fn hear(server: &Arc<Server>, message: Message) {
    let Some(method) = message.method.clone() else { return };
    let Some(id) = message.id.clone() else {
        if method == "notifications/cancelled" {
            server.cancel(&message.params["requestId"]);
        }
        return;
    };
    server.begin(&id);
    let outcome = match check(&method, &message) {
        Err(refusal) => Err(refusal),
        Ok(()) if method == "subscriptions/listen" => {
            return server.listen(id, &message.params["notifications"]);
        }
        Ok(()) => {
            let runs = methods::run(server, (Era::Modern, &id), &method, &message.params, complete);
            if runs.is_some() {
                return;
            }
            answer(server, &method)
        }
    };
    if method == "server/discover" {
        return methods::discover(server, &id, outcome);
    }
    server.answer(&id, &methods::answer(&id, outcome));
}

/// Refuses a request that is no request of this era.
fn check(method: &str, message: &Message) -> Result<(), Refusal> {
    let unsupported = |requested: &str| Refusal::Error {
        code: -32022,
        message: format!("this server speaks {VERSION} here"),
        data: Some(json!({"supported": [VERSION], "requested": requested})),
    };
    let Some(version) = message.version() else {
        if method == "initialize" {
            return Err(unsupported(message.params["protocolVersion"].as_str().unwrap_or_default()));
        }
        return Err(Refusal::invalid(&format!("_meta needs {VERSION_KEY}")));
    };
    if !message.params["_meta"][CAPABILITIES_KEY].is_object() {
        return Err(Refusal::invalid(&format!("_meta needs {CAPABILITIES_KEY}")));
    }
    if version == VERSION { Ok(()) } else { Err(unsupported(version)) }
}

fn answer(server: &Server, method: &str) -> Outcome {
    if method == "server/discover" {
        let versions = if server.options.era == Era::Dual && !server.options.pin {
            json!([VERSION, "2025-11-25"])
        } else {
            json!([VERSION])
        };
        let result = json!({
            "supportedVersions": versions,
            "capabilities": methods::capabilities(),
            "instructions": methods::INSTRUCTIONS,
        });
        return Ok(complete(method, result));
    }
    let result = methods::list(server, Era::Modern, method).ok_or_else(|| methods::unknown(method))?;
    Ok(complete(method, result))
}

/// Adds what each result of this era has.
fn complete(method: &str, mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result["_meta"] = json!({SERVER_KEY: methods::server_info()});
    if method.ends_with("/list") || matches!(method, "server/discover" | "resources/read") {
        result["ttlMs"] = json!(60_000);
        result["cacheScope"] = json!("public");
    }
    result
}
