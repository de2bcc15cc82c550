//! WebSocket on `/mcp` and `/mcp/NAME`: subprotocol `mcp`, one message per frame. The rules are those of
//! stdio, with "line" read as "frame" (the specification's "custom transports").

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use exai_mux::Endpoint;

use crate::door::{Place, Rooms};
use crate::socket::{self, Speech, limited};
use crate::status::ClientFacts;

pub(crate) fn open(
    rooms: Rooms,
    endpoint: Endpoint,
    place: Option<Place>,
    upgrade: WebSocketUpgrade,
) -> Response {
    limited(upgrade).protocols(["mcp"]).on_upgrade(move |socket| async move {
        let facts = ClientFacts {
            transport: "websocket",
            label: None,
            shim_pid: None,
            connected_at: jiff::Timestamp::now(),
            shown: true,
        };
        // A conversation that ends has told its story in the log already.
        let _ = socket::serve(socket, rooms, endpoint, facts, Speech::Mcp, None).await;
        drop(place);
    })
}
