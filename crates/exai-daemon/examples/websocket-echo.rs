//! Every message back to who sent it, over the WebSocket stack of the daemon: what Autobahn|Testsuite needs to judge it.
//! CONTRIBUTING.md says how.

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;

/// As in the daemon: a little more than its longest message.
const LONGEST: usize = exai_proto::limits::MESSAGE_BYTES + 1024;

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade
        .max_message_size(LONGEST)
        .max_frame_size(LONGEST)
        .read_buffer_size(32 * 1024)
        .write_buffer_size(64 * 1024);
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let sent = match message {
                Message::Text(_) | Message::Binary(_) => socket.send(message).await,
                // The stack answers these.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
            };
            if sent.is_err() {
                return;
            }
        }
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
    axum::serve(listener, Router::new().route("/", any(echo))).await
}
