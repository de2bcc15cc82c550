//! The shims' and the command line's link: see [`exai_proto::link`] for what goes over it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use exai_mux::{ClientId, Endpoint};
use exai_proto::link::{FromDaemon, Hello, Role, SUBPROTOCOL, ToDaemon, Versions};
use exai_supervisor::outbox::{Drain, Outbox, outbox};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::timeout;

use crate::door::Rooms;
use crate::guard::{self, From};
use crate::hub::{BYE, Gone, HubEvent, HubHandle, Question};
use crate::inbound::Inbound;
use crate::sink::{CLIENT_BYTES, Sink, Way};
use crate::status::ClientFacts;

/// How long a peer may take to say hello.
const HELLO: Duration = Duration::from_secs(5);
/// How many frames are taken in before the hub hears of them.
const BATCH: usize = 256;

/// `GET /shim`.
pub(crate) async fn open(
    State(rooms): State<Rooms>,
    Extension(from): Extension<From>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let From::Local(peer) = from else {
        return guard::refuse(StatusCode::NOT_FOUND, "the link is on the local socket only");
    };
    limited(upgrade).protocols([SUBPROTOCOL]).on_upgrade(move |socket| async move {
        // A link that ends has told its story in the log already.
        let _ = serve(socket, rooms, peer.pid).await;
    })
}

/// The bounds of a message, and small buffers: there may be hundreds of connections.
pub(crate) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(exai_proto::limits::MESSAGE_BYTES)
        .max_frame_size(exai_proto::limits::MESSAGE_BYTES)
        .read_buffer_size(32 * 1024)
        .write_buffer_size(64 * 1024)
}

async fn serve(mut socket: WebSocket, rooms: Rooms, kernel_pid: Option<u32>) -> Result<(), Gone> {
    let hello = match timeout(HELLO, first(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(reason)) => return refuse(socket, reason).await,
        Err(_) => return refuse(socket, "no hello within 5 s".to_owned()).await,
    };
    let Some(version) = hello.versions.common(Versions::OURS) else {
        let reason = format!(
            "exai {} and this daemon ({}) do not speak a common version of the link; restart the older one",
            hello.build,
            env!("CARGO_PKG_VERSION")
        );
        return refuse(socket, reason).await;
    };
    let (sink, stream) = socket.split();
    let (queue, drain) = outbox(CLIENT_BYTES);
    let (controls, control_queue) = tokio::sync::mpsc::channel(64);
    let about = &rooms.about;
    let greeting = FromDaemon::Hello {
        version,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        instance: about.instance.clone(),
        pid: about.pid,
    };
    // There is room: it is the first.
    let _ = controls.try_send(greeting);
    let writer = rooms.tasks.spawn(write(sink, drain, control_queue));
    let facts = ClientFacts {
        transport: "shim",
        label: hello.label.clone(),
        shim_pid: Some(kernel_pid.unwrap_or(hello.pid)),
        connected_at: jiff::Timestamp::now(),
        shown: hello.role == Role::Shim,
    };
    let endpoint = endpoint(&hello);
    let client = rooms.hub.open(endpoint, Sink::new(Way::Socket(queue.clone())), facts).await?;
    let link = Link { client, hub: rooms.hub.clone(), queue, controls };
    let outcome = link.read(stream).await;
    rooms.hub.send(HubEvent::Close { client }).await?;
    link.queue.close();
    drop(link);
    let _ = writer.await;
    outcome
}

fn endpoint(hello: &Hello) -> Endpoint {
    match &hello.server {
        Some(server) => Endpoint::One(server.as_str().into()),
        None => Endpoint::All,
    }
}

/// The hello, or why there is none.
async fn first(socket: &mut WebSocket) -> Result<Hello, String> {
    match socket.recv().await {
        Some(Ok(Frame::Text(text))) => match serde_json::from_str(text.as_str()) {
            Ok(ToDaemon::Hello(hello)) => Ok(hello),
            Ok(_) => Err("the first frame must be hello".to_owned()),
            Err(error) => Err(format!("the first frame must be hello: {error}")),
        },
        Some(Ok(_)) => Err("the first frame must be hello".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("closed before hello".to_owned()),
    }
}

async fn refuse(mut socket: WebSocket, reason: String) -> Result<(), Gone> {
    tracing::warn!(reason, "a link was refused");
    // The peer may be gone already.
    let _ = socket.send(text(&FromDaemon::Refused { reason })).await;
    let _ = socket.send(Frame::Close(None)).await;
    Ok(())
}

fn text(control: &FromDaemon) -> Frame {
    Frame::Text(serde_json::to_string(control).unwrap_or_default().into())
}

struct Link {
    client: ClientId,
    hub: HubHandle,
    queue: Outbox,
    controls: tokio::sync::mpsc::Sender<FromDaemon>,
}

impl Link {
    async fn read(&self, mut stream: SplitStream<WebSocket>) -> Result<(), Gone> {
        while let Some(first) = stream.next().await {
            let mut inbound = Inbound::default();
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(frame) = next {
                match frame {
                    Ok(Frame::Binary(bytes)) => inbound.take(bytes),
                    Ok(Frame::Text(control)) => self.control(control.as_str()).await?,
                    Ok(Frame::Ping(_) | Frame::Pong(_)) => {}
                    Ok(Frame::Close(_)) => return self.pass_on(inbound).await,
                    Err(error) => {
                        tracing::debug!(client = %self.client, %error, "link lost");
                        return self.pass_on(inbound).await;
                    }
                }
                taken += 1;
                // As much as is there, but not more than makes the others wait.
                next = if taken < BATCH { stream.next().now_or_never().flatten() } else { None };
            }
            self.pass_on(inbound).await?;
        }
        Ok(())
    }

    async fn pass_on(&self, inbound: Inbound) -> Result<(), Gone> {
        for refusal in inbound.refusals {
            if self.queue.push(refusal).is_err() {
                return Err(Gone);
            }
        }
        if inbound.messages.is_empty() {
            return Ok(());
        }
        self.hub.send(HubEvent::Said { client: self.client, messages: inbound.messages }).await
    }

    async fn control(&self, text: &str) -> Result<(), Gone> {
        let reply = match serde_json::from_str(text) {
            Ok(ToDaemon::Hello(_)) => FromDaemon::Error { reason: "hello was said already".to_owned() },
            Ok(ToDaemon::Status) => {
                FromDaemon::Status { status: Box::new(self.hub.ask(Question::Status).await?) }
            }
            Ok(ToDaemon::Servers) => FromDaemon::Servers { servers: self.hub.ask(Question::Servers).await? },
            Ok(ToDaemon::Reload) => match self.hub.ask(Question::Reload).await? {
                Ok(()) => FromDaemon::Reloaded,
                Err(reason) => FromDaemon::Error { reason },
            },
            Ok(ToDaemon::RestartServer { server }) => {
                match self.hub.ask(|reply| Question::RestartServer { server, reply }).await? {
                    Ok(instances) => FromDaemon::Restarted { instances },
                    Err(reason) => FromDaemon::Error { reason },
                }
            }
            Ok(ToDaemon::Stop { timeout_ms }) => {
                let grace = Duration::from_millis(timeout_ms.min(3_600_000));
                return self.hub.send(HubEvent::Stop { grace }).await;
            }
            Err(error) => {
                FromDaemon::Error { reason: format!("not a control message of this version: {error}") }
            }
        };
        self.controls.send(reply).await.map_err(|_| Gone)
    }
}

/// Writes what there is to say: control messages first, then everything that waits, flushed once.
async fn write(
    mut sink: SplitSink<WebSocket, Frame>,
    mut drain: Drain,
    mut controls: tokio::sync::mpsc::Receiver<FromDaemon>,
) {
    let mut batch: Vec<Bytes> = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(control) = controls.recv() => {
                if sink.send(text(&control)).await.is_err() {
                    return;
                }
            }
            more = drain.take(&mut batch) => {
                for message in batch.drain(..) {
                    if sink.feed(Frame::Binary(message)).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
                if !more {
                    break;
                }
            }
        }
    }
    // The queue was closed: by the client's end, for slowness, or because the daemon ends.
    let _ = sink.send(text(&FromDaemon::Bye { reason: BYE })).await;
    let _ = sink.send(Frame::Close(None::<CloseFrame>)).await;
}
