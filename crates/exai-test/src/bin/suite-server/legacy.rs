//! 2025-11-25: `initialize` first, one client, requests in both directions.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::{Outcome, Refusal};
use crate::message::Message;
use crate::methods;
use crate::options::Era;
use crate::server::{LegacyClient, Server, lock};

/// The versions that `initialize` may ask for. The first is the answer to all others.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

pub(crate) fn hear(server: &Arc<Server>, message: Message) {
    let Some(method) = message.method.clone() else { return server.hear_response(message) };
    let Some(id) = message.id else {
        if method == "notifications/cancelled" {
            server.cancel(&message.params["requestId"]);
        }
        return;
    };
    server.begin(&id);
    if method == "server/discover" {
        return methods::discover(server, &id, Err(methods::unknown(&method)));
    }
    let knows_client = lock(&server.legacy).is_some();
    let runs = knows_client
        && methods::run(server, (Era::Legacy, &id), &method, &message.params, |_, result| result).is_some();
    if !runs {
        let outcome = answer(server, &method, &message.params);
        server.answer(&id, &methods::answer(&id, outcome));
    }
}

fn answer(server: &Server, method: &str, params: &Value) -> Outcome {
    match method {
        "initialize" => return Ok(initialize(server, params)),
        "ping" => return Ok(json!({})),
        _ => {}
    }
    let mut client = lock(&server.legacy);
    let Some(client) = client.as_mut() else {
        let message = format!("{method} came before initialize");
        return Err(Refusal::Error { code: -32600, message, data: None });
    };
    let text = |key: &str| {
        params[key].as_str().map(str::to_owned).ok_or_else(|| Refusal::invalid(&format!("{key} is missing")))
    };
    match method {
        "logging/setLevel" => client.log_level = text("level")?,
        "resources/subscribe" => drop(client.subscribed.insert(text("uri")?)),
        "resources/unsubscribe" => drop(client.subscribed.remove(&text("uri")?)),
        _ => return methods::list(server, Era::Legacy, method).ok_or_else(|| methods::unknown(method)),
    }
    Ok(json!({}))
}

fn initialize(server: &Server, params: &Value) -> Value {
    *lock(&server.legacy) = Some(LegacyClient {
        capabilities: params["capabilities"].clone(),
        log_level: "info".to_owned(),
        subscribed: BTreeSet::new(),
    });
    let version = VERSIONS.into_iter().find(|version| params["protocolVersion"] == *version);
    json!({
        "protocolVersion": version.unwrap_or(VERSIONS[0]),
        "capabilities": methods::capabilities(),
        "serverInfo": methods::server_info(),
        "instructions": methods::INSTRUCTIONS,
    })
}
