//! WebSocket on `/mcp` and `/mcp/NAME`: subprotocol `mcp`, one message per frame. The rules are those of
//! stdio, with "line" read as "frame" (the specification's "custom transports").

use axum::body::Bytes;
use axum::extract::ws::{Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use exai_mux::Endpoint;
use exai_supervisor::outbox::{Drain, outbox};
use futures_util::stream::SplitSink;
use futures_util::{FutureExt, SinkExt, StreamExt};

use crate::door::Rooms;
use crate::hub::{Gone, HubEvent};
use crate::inbound::Inbound;
use crate::link::limited;
use crate::sink::{CLIENT_BYTES, Sink, Way};
use crate::status::ClientFacts;

pub(crate) fn open(rooms: Rooms, endpoint: Endpoint, upgrade: WebSocketUpgrade) -> Response {
    limited(upgrade).protocols(["mcp"]).on_upgrade(move |socket| async move {
        // A conversation that ends has told its story in the log already.
        let _ = serve(socket, rooms, endpoint).await;
    })
}

async fn serve(socket: WebSocket, rooms: Rooms, endpoint: Endpoint) -> Result<(), Gone> {
    let (sink, mut stream) = socket.split();
    let (queue, drain) = outbox(CLIENT_BYTES);
    let writer = rooms.tasks.spawn(write(sink, drain));
    let facts = ClientFacts {
        transport: "websocket",
        label: None,
        shim_pid: None,
        connected_at: jiff::Timestamp::now(),
        shown: true,
    };
    let client = rooms.hub.open(endpoint, Sink::new(Way::Socket(queue.clone())), facts).await?;
    'read: while let Some(first) = stream.next().await {
        let mut inbound = Inbound::default();
        let mut next = Some(first);
        let mut ended = false;
        while let Some(frame) = next {
            match frame {
                Ok(Frame::Text(text)) => inbound.take(text.into()),
                Ok(Frame::Binary(bytes)) => inbound.take(bytes),
                Ok(Frame::Ping(_) | Frame::Pong(_)) => {}
                Ok(Frame::Close(_)) | Err(_) => {
                    ended = true;
                    break;
                }
            }
            next = stream.next().now_or_never().flatten();
        }
        for refusal in inbound.refusals {
            if queue.push(refusal).is_err() {
                break 'read;
            }
        }
        if !inbound.messages.is_empty() {
            rooms.hub.send(HubEvent::Said { client, messages: inbound.messages }).await?;
        }
        if ended {
            break;
        }
    }
    rooms.hub.send(HubEvent::Close { client }).await?;
    queue.close();
    let _ = writer.await;
    Ok(())
}

async fn write(mut sink: SplitSink<WebSocket, Frame>, mut drain: Drain) {
    let mut batch: Vec<Bytes> = Vec::new();
    while drain.take(&mut batch).await {
        for message in batch.drain(..) {
            let Ok(text) = Utf8Bytes::try_from(message) else { continue };
            if sink.feed(Frame::Text(text)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
    let _ = sink.send(Frame::Close(None)).await;
}
