//! One WebSocket, as a shim's link or as a client's own: frames in, frames out, until either side ends it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use exai_mux::{ClientId, Endpoint};
use exai_proto::limits;
use exai_proto::link::{ByeReason, FromDaemon};
use exai_supervisor::outbox::{Drain, outbox};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::door::Rooms;
use crate::hub::{Gone, HubEvent};
use crate::inbound::Inbound;
use crate::link::{self, Controls};
use crate::sink::{CLIENT_BYTES, Farewell, LetGo, Sink, Socket, Way};
use crate::status::ClientFacts;
use exai_supervisor::turns::{Turn, Turns};

/// How many frames, and bytes of them, are taken in before the hub hears of them: one turn.
pub(crate) const BATCH: usize = 64;
pub(crate) const BATCH_BYTES: usize = 1024 * 1024;
/// The ping behind `hold`: its pong comes after everything that the shim sent before it had read that.
const HELD: Bytes = Bytes::from_static(b"hold");
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The bounds of a message, and small buffers: there may be hundreds of connections.
pub(crate) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    // A little more than a message, so that one that is just too long is answered and not cut off.
    const LONGEST: usize = limits::MESSAGE_BYTES + 1024;
    upgrade
        .max_message_size(LONGEST)
        .max_frame_size(LONGEST)
        .read_buffer_size(32 * 1024)
        .write_buffer_size(64 * 1024)
}

/// What frames mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// The link: messages are binary, text is control.
    Link,
    /// Subprotocol `mcp`: messages are text; binary is taken as well.
    Mcp,
}

/// Serves a WebSocket until it ends.
pub(crate) async fn serve(
    socket: WebSocket,
    rooms: Rooms,
    endpoint: Endpoint,
    facts: ClientFacts,
    speech: Speech,
    greeting: Option<FromDaemon>,
) -> Result<(), Gone> {
    let _present = rooms.sockets.token();
    let (sink, stream) = socket.split();
    let (outbox, drain) = outbox(CLIENT_BYTES);
    let (controls, replies) = mpsc::channel(64);
    let ours = Socket { outbox, farewell: Arc::new(OnceLock::new()), controls: controls.clone() };
    let mut writer = rooms.tasks.spawn(write(sink, drain, replies, speech, ours.farewell.clone()));
    let sink = Sink::new(Way::Socket(ours.clone()), greeting);
    let client = rooms.hub.open(endpoint, sink, facts).await?;
    let reader = Reader {
        client,
        socket: ours,
        speech,
        controls: Controls {
            hub: rooms.hub.clone(),
            token: rooms.token.clone(),
            home: rooms.home.clone(),
            replies: controls,
        },
        turns: Turns::new(),
    };
    let outcome = tokio::select! {
        outcome = reader.read(stream) => outcome,
        // The hub has let the client go.
        () = reader.socket.outbox.closed() => Ok(()),
        // The peer does not take what is written.
        _ = &mut writer => Ok(()),
    };
    reader.socket.outbox.close();
    let closed = rooms.hub.send(HubEvent::Close { client, why: LetGo::Left }).await;
    drop(reader);
    if !writer.is_finished() && timeout(FAREWELL, &mut writer).await.is_err() {
        writer.abort();
    }
    closed.and(outcome)
}

struct Reader {
    client: ClientId,
    socket: Socket,
    speech: Speech,
    controls: Controls,
    turns: Turns,
}

impl Reader {
    async fn read(&self, mut stream: SplitStream<WebSocket>) -> Result<(), Gone> {
        loop {
            // First the turn, then the reading: what has no turn waits with the peer, not here.
            let turn = self.turns.next().await;
            let Some(first) = stream.next().await else { return Ok(()) };
            let mut inbound = Inbound::default();
            let mut next = Some(first);
            let mut taken = 0;
            let mut held = false;
            while let Some(frame) = next {
                match frame {
                    Ok(Frame::Binary(bytes)) => inbound.take(bytes),
                    Ok(Frame::Text(text)) => match self.speech {
                        Speech::Mcp => inbound.take(text.into()),
                        Speech::Link => link::control(&self.controls, text.as_str()).await?,
                    },
                    Ok(Frame::Pong(of)) => held |= of == HELD,
                    Ok(Frame::Ping(_)) => {}
                    Ok(Frame::Close(_)) => return self.pass_on(inbound, turn).await,
                    Err(error) => {
                        tracing::debug!(client = %self.client, %error, "connection lost");
                        let _ = self.socket.farewell.set(Farewell::Broken(complaint(&error.to_string())));
                        return self.pass_on(inbound, turn).await;
                    }
                }
                taken += 1;
                // As much as is there, but not more than makes the others wait.
                let more = taken < BATCH && inbound.bytes < BATCH_BYTES;
                next = if more { stream.next().now_or_never().flatten() } else { None };
            }
            self.pass_on(inbound, turn).await?;
            if held {
                self.controls.hub.send(HubEvent::Held { client: self.client }).await?;
            }
        }
    }

    async fn pass_on(&self, inbound: Inbound, turn: Turn) -> Result<(), Gone> {
        for refusal in inbound.refusals {
            self.socket.outbox.push(refusal).map_err(|_| Gone)?;
        }
        if inbound.messages.is_empty() {
            return Ok(());
        }
        let messages = inbound.messages;
        self.controls.hub.send(HubEvent::Said { client: self.client, messages, turn }).await
    }
}

/// What a peer is told that does not speak WebSocket. The stack tells the kinds of errors apart by their words alone.
fn complaint(error: &str) -> CloseFrame {
    /// The longest reason that a close frame can hold.
    const REASON: usize = 123;
    let code = if error.starts_with("UTF-8") {
        close_code::INVALID
    } else if error.starts_with("Space limit") {
        close_code::SIZE
    } else {
        close_code::PROTOCOL
    };
    let reason = &error[..error.floor_char_boundary(REASON)];
    CloseFrame { code, reason: reason.into() }
}

/// Writes what there is to say: control messages first, then everything that waits, flushed once.
async fn write(
    mut sink: SplitSink<WebSocket, Frame>,
    mut drain: Drain,
    mut controls: mpsc::Receiver<FromDaemon>,
    speech: Speech,
    farewell: Arc<OnceLock<Farewell>>,
) {
    let mut batch: Vec<Bytes> = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(control) = controls.recv() => {
                if sink.feed(Frame::Text(link::text(&control).into())).await.is_err() {
                    return;
                }
                if matches!(control, FromDaemon::Hold { .. }) && sink.feed(Frame::Ping(HELD)).await.is_err() {
                    return;
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
            more = drain.take(&mut batch) => {
                if !more {
                    break;
                }
                for message in batch.drain(..) {
                    let frame = match speech {
                        Speech::Link => Frame::Binary(message),
                        // Everything the hub sends was checked to be UTF-8.
                        Speech::Mcp => Frame::Text(Utf8Bytes::try_from(message).unwrap_or_default()),
                    };
                    if sink.feed(frame).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        }
    }
    // The queue was closed: by the client's end, for slowness, or because the daemon ends.
    let frame = match farewell.get() {
        Some(Farewell::Bye(reason)) => {
            if speech == Speech::Link {
                let _ = sink.send(Frame::Text(link::text(&FromDaemon::Bye { reason: *reason }).into())).await;
            }
            Some(match reason {
                ByeReason::Stop => {
                    CloseFrame { code: close_code::AWAY, reason: "the daemon is stopping".into() }
                }
                // To whoever knows this code: connect again.
                ByeReason::Restart | ByeReason::Upgrade => {
                    CloseFrame { code: close_code::RESTART, reason: "the daemon is being restarted".into() }
                }
            })
        }
        Some(Farewell::Broken(frame)) => Some(frame.clone()),
        None => None,
    };
    let _ = sink.send(Frame::Close(frame)).await;
    // Where the peer has closed it, nothing can be sent any more but the answer to that, which is sent here.
    let _ = sink.close().await;
}
