//! The dialects of MCP: how what the router means is said on the wire.
//!
//! A dialect is pure functions. It reads what a message asks for and writes the messages that are not passed on but made
//! here; it knows neither the state nor the effects of the router. There is one file for each dialect: [`legacy`] is every
//! revision that begins with `initialize`, [`modern`] the revision 2026-07-28.
//! [`bridge`] says what a message of one era is in the other.

pub(crate) mod bridge;
pub(crate) mod legacy;
pub(crate) mod modern;

use exai_proto::json;

use crate::types::introduction::{Offer, ServerCapabilities};

/// Reads what a server can do from what it has said of itself. Both dialects say it alike.
fn read_capabilities(result: &[u8]) -> ServerCapabilities {
    let find = |path: &[&str]| json::find_path(result, 0..result.len(), path);
    let is_true = |path: &[&str]| find(path).is_some_and(|at| &result[at] == b"true");
    let offer = |name| match find(&["capabilities", name]) {
        None => Offer::Nothing,
        Some(_) if is_true(&["capabilities", name, "listChanged"]) => Offer::Announced,
        Some(_) => Offer::Lists,
    };
    ServerCapabilities {
        tools: offer("tools"),
        prompts: offer("prompts"),
        resources: offer("resources"),
        subscriptions: is_true(&["capabilities", "resources", "subscribe"]),
        logging: find(&["capabilities", "logging"]).is_some(),
    }
}
