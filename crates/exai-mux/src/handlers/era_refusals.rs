//! What clients of the modern era are told where that era ends.

use exai_proto::{Id, answer, version};

use crate::dialect::modern;
use crate::router::event_context::EventContext;
use crate::types::ids::ClientId;

/// Says that there is no modern era here. Clients that speak both eras go on with `initialize`.
pub(crate) fn refuse_discover(client: ClientId, id: &Id, cx: &mut EventContext<'_>) {
    cx.refuse(client, id, -32601, "Method not found: server/discover");
}

/// Answers a request of the modern era at a server that speaks the legacy era alone.
pub(crate) fn refuse_modern(client: ClientId, id: &Id, cx: &mut EventContext<'_>) {
    let supported: Vec<String> = version::supported(false).map(ToOwned::to_owned).collect();
    cx.answer(client, id.clone(), modern::write_unsupported_version(id, version::MODERN, &supported));
}

/// Answers a request for a method that the modern era does not have.
pub(crate) fn refuse_method(client: ClientId, id: &Id, method: &str, cx: &mut EventContext<'_>) {
    let text = format!("Method not found: {method} (there is none in {})", version::MODERN);
    cx.answer(client, id.clone(), answer::error(id, -32601, &text));
}
