//! WebSocket on `/mcp` and `/mcp/NAME`: subprotocol `mcp`, one message per frame. The rules are those of
//! stdio, with "line" read as "frame" (the specification's "custom transports").

use axum::extract::Request;
use axum::response::Response;
use exai_mux::Endpoint;

use crate::front::framing::Framing;
use crate::front::state::{AppState, ConnectionPermit};
use crate::front::upgrade::Upgrade;
use crate::front::websocket_connection;
use crate::observe::facts::ClientFacts;
use crate::state::holder::Holder;

pub(crate) fn open(state: AppState, endpoint: Endpoint, holder: Holder, mut request: Request) -> Response {
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    let (upgrade, response) = match Upgrade::of(&mut request, Some("mcp")) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    state.tasks.clone().spawn(async move {
        let Some(socket) = upgrade.socket(state.input_budget.clone()).await else { return };
        let facts = ClientFacts {
            transport: "websocket",
            label: None,
            shim_pid: None,
            directory: None,
            connected_at: jiff::Timestamp::now(),
            holder,
            shown: true,
            stateless: false,
        };
        // The reason why the connection ended is in the log already.
        let _ =
            websocket_connection::serve_connection(socket, state, endpoint, facts, Framing::Mcp, None).await;
        drop(permit);
    });
    response
}
