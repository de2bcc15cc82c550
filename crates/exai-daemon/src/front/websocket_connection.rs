//! One WebSocket connection, of a shim, of an MCP client or of a client of the origin's wire, until either side ends it.

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use exai_mux::{ClientId, Endpoint};
use exai_os::clock;
use exai_proto::link::{ByeReason, FromDaemon};
use exai_proto::{ParseError, Segments};
use exai_supervisor::outbox::{Drain, outbox};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::client::inbound::Inbound;
use crate::client::message_checks::MessageChecks;
use crate::client::sink::{ClientTransport, CloseReason, Farewell, Sink, Socket};
use crate::core::event::{HubEvent, HubGone};
use crate::front::control::{self, Controls};
use crate::front::frame::{Broken, Frame, Opcode, code};
use crate::front::frame_reader::FrameReader;
use crate::front::frame_writer::FrameWriter;
use crate::front::framing::Framing;
use crate::front::origin_ops;
use crate::front::origin_wire::OriginWire;
use crate::front::state::AppState;
use crate::front::upgrade;
use crate::limits::{CLIENT_QUEUE, CLOSE_TIMEOUT, MAX_TURN_BYTES, MAX_TURN_FRAMES, MAX_WAITING_PINGS};
use crate::observe::facts::ClientFacts;
use exai_supervisor::turns::{Turn, Turns};

/// The ping behind `hold`. Its pong comes after everything that the shim sent before it had read `hold`.
const HELD: Bytes = Bytes::from_static(b"hold");

/// Serves a WebSocket until it ends.
pub(crate) async fn serve_connection(
    socket: upgrade::Socket,
    state: AppState,
    endpoint: Endpoint,
    facts: ClientFacts,
    framing: Framing,
    greeting: Option<FromDaemon>,
) -> Result<(), HubGone> {
    let _present = state.sockets.token();
    let upgrade::Socket { reader: mut frames, writer } = socket;
    let (outbox, drain) = outbox(CLIENT_QUEUE);
    let (controls, replies) = mpsc::channel(64);
    let (answer, pings) = mpsc::channel(MAX_WAITING_PINGS);
    let ours = Socket { outbox, farewell: Arc::new(OnceLock::new()), controls: controls.clone() };
    let farewell = ours.farewell.clone();
    let output = Output { waiting: drain, controls: replies, pings, farewell };
    let how = (framing.clone(), state.message_checks.clone());
    let mut writer = state.tasks.spawn(write(writer, output, how));
    let sink = Sink::new(ClientTransport::Socket(ours.clone()), greeting);
    let client = state.hub.open(endpoint, sink, facts).await?;
    let reader = SocketReader {
        client,
        socket: ours,
        framing,
        controls: Controls {
            hub: state.hub.clone(),
            admission: state.admission.clone(),
            home: state.home.clone(),
            replies: controls,
            sign_ins: state.sign_ins.clone(),
        },
        pongs: answer,
        turns: Turns::new(),
        message_checks: state.message_checks.clone(),
    };
    let outcome = tokio::select! {
        outcome = reader.serve(&mut frames) => outcome,
        // The hub has disconnected the client.
        () = reader.socket.outbox.closed() => Ok(()),
        // The peer does not take what is written.
        _ = &mut writer => Ok(()),
    };
    reader.socket.outbox.close();
    let closed = state.hub.send(HubEvent::Close { client, why: CloseReason::Left }).await;
    let refused = matches!(reader.socket.farewell.get(), Some(Farewell::Broken(..)));
    drop(reader);
    if !writer.is_finished() && timeout(CLOSE_TIMEOUT, &mut writer).await.is_err() {
        writer.abort();
    }
    if refused {
        frames.drain(CLOSE_TIMEOUT).await;
    }
    closed.and(outcome)
}

struct SocketReader {
    client: ClientId,
    socket: Socket,
    framing: Framing,
    controls: Controls,
    pongs: mpsc::Sender<Bytes>,
    turns: Turns,
    message_checks: MessageChecks,
}

impl SocketReader {
    async fn serve<S: AsyncRead + Unpin>(&self, frames: &mut FrameReader<S>) -> Result<(), HubGone> {
        if matches!(self.framing, Framing::Origin(_)) {
            let opening = Inbound { messages: OriginWire::opening(), ..Inbound::default() };
            self.pass_on(opening, self.turns.next().await).await?;
        }
        self.read(frames).await
    }

    async fn read<S: AsyncRead + Unpin>(&self, frames: &mut FrameReader<S>) -> Result<(), HubGone> {
        loop {
            // The turn comes before the reading: input without a turn waits with the peer, not here.
            let turn = self.turns.next().await;
            let mut next = Some(frames.next().await);
            let mut inbound = Inbound::default();
            let mut taken = 0;
            let mut held = false;
            while let Some(frame) = next {
                match frame {
                    Ok(Frame::Message { text: true, bytes, .. }) if self.framing.is_link() => {
                        match std::str::from_utf8(&bytes) {
                            Ok(text) => control::control(&self.controls, text).await?,
                            Err(_) => return self.end(inbound, turn, Broken::NOT_UTF8).await,
                        }
                    }
                    Ok(Frame::Message { text, bytes, claim }) => {
                        inbound.claim.merge(claim);
                        let understood = self.understand(&mut inbound, bytes).await?;
                        if text && understood.is_err() {
                            // The close frame says it.
                            inbound.refusals.pop();
                            return self.end(inbound, turn, Broken::NOT_UTF8).await;
                        }
                    }
                    Ok(Frame::Pong(of)) => held |= of == HELD,
                    Ok(Frame::Ping(of)) => {
                        // If the writer has ended, this loop ends as well.
                        let _ = self.pongs.send(of).await;
                    }
                    Ok(Frame::Close(code)) => {
                        let _ = self.socket.farewell.set(Farewell::Answer(code));
                        return self.pass_on(inbound, turn).await;
                    }
                    Err(broken) => return self.end(inbound, turn, broken).await,
                }
                taken += 1;
                // Reads what is there, but not more than one turn.
                let more = taken < MAX_TURN_FRAMES && inbound.bytes < MAX_TURN_BYTES;
                next = if more { frames.next().now_or_never() } else { None };
            }
            self.pass_on(inbound, turn).await?;
            if held {
                self.controls.hub.send(HubEvent::Held { client: self.client }).await?;
            }
        }
    }

    /// Adds what the peer has said to `inbound`. The only inner error is that the frame is not UTF-8; a refusal is added
    /// all the same.
    async fn understand(
        &self,
        inbound: &mut Inbound,
        frame: Bytes,
    ) -> Result<Result<(), ParseError>, HubGone> {
        let checks = &self.message_checks;
        if let Framing::Origin(wire) = &self.framing {
            return origin_ops::carry_out(&self.controls, wire, checks, inbound, frame).await;
        }
        Ok(checks.check_input(inbound, frame).await)
    }

    /// Ends the connection. What the peer said before it broke is still heard.
    async fn end(&self, inbound: Inbound, turn: Turn, broken: Broken) -> Result<(), HubGone> {
        tracing::debug!(client = %self.client, error = %broken, "connection lost");
        if let Broken::Refused(code, why) = broken {
            let _ = self.socket.farewell.set(Farewell::Broken(code, why));
        }
        self.pass_on(inbound, turn).await
    }

    async fn pass_on(&self, inbound: Inbound, turn: Turn) -> Result<(), HubGone> {
        for refusal in inbound.refusals {
            self.socket.outbox.push(refusal).map_err(|_| HubGone)?;
        }
        if inbound.messages.is_empty() {
            return Ok(());
        }
        let Inbound { messages, claim, .. } = inbound;
        self.controls.hub.send(HubEvent::Said { client: self.client, messages, claim, turn }).await
    }
}

/// What the writer of a connection writes.
struct Output {
    waiting: Drain,
    controls: mpsc::Receiver<FromDaemon>,
    pings: mpsc::Receiver<Bytes>,
    farewell: Arc<OnceLock<Farewell>>,
}

/// Writes control messages first, then everything that waits, and flushes once.
async fn write<S: AsyncWrite + Unpin>(
    mut writer: FrameWriter<S>,
    Output { mut waiting, mut controls, mut pings, farewell }: Output,
    (framing, checks): (Framing, MessageChecks),
) -> io::Result<()> {
    // Everything that the hub sends was checked to be UTF-8.
    let messages = if framing.is_link() { Opcode::Binary } else { Opcode::Text };
    let mut batch: Vec<Segments> = Vec::new();
    loop {
        let next_report = framing.next_report();
        let until_report = async {
            match next_report {
                Some(at) => sleep(clock::until(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(ping) = pings.recv() => writer.feed(Opcode::Pong, ping).await?,
            Some(control) = controls.recv() => {
                writer.feed(Opcode::Text, control::text(&control)).await?;
                if matches!(control, FromDaemon::Hold { .. }) {
                    writer.feed(Opcode::Ping, HELD).await?;
                }
            }
            () = until_report => {
                for report in framing.report() {
                    writer.feed(messages, report).await?;
                }
            }
            more = waiting.take(&mut batch) => {
                if !more {
                    break;
                }
                for message in batch.drain(..) {
                    if let Some(frame) = framing.write_out(message, &checks).await {
                        writer.feed(messages, frame).await?;
                    }
                }
            }
        }
        writer.flush().await?;
    }
    // The queue was closed: the client has ended, was too slow, or the daemon ends.
    let frame = match farewell.get() {
        Some(Farewell::Bye(reason)) => {
            if framing.is_link() {
                writer.feed(Opcode::Text, control::text(&FromDaemon::Bye { reason: *reason })).await?;
            }
            Some(match reason {
                ByeReason::Stop => (code::AWAY, "the daemon is stopping"),
                // A client that knows this code connects again.
                ByeReason::Restart | ByeReason::Upgrade => (code::RESTART, "the daemon is being restarted"),
            })
        }
        Some(Farewell::Broken(code, why)) => Some((*code, *why)),
        Some(Farewell::Answer(code)) => code.map(|code| (code, "")),
        None => None,
    };
    writer.close(frame).await
}
