//! An open WebSocket to a server: its reading half, which notices when the server is gone, and its writing half.

use std::time::Duration;

use bytes::Bytes;
use exai_proto::Segments;
use exai_proto::limits::MESSAGE_BYTES;
use exai_supervisor::Line;
use exai_supervisor::outbox::Drain;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::byte_counter::{ByteCount, Counted};
use crate::limits::{WEBSOCKET_PING_INTERVAL, WEBSOCKET_PING_TIMEOUT, WEBSOCKET_SEND_TIMEOUT};
use crate::upstream::server_output::visible;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// What a connection runs on.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

type Socket<S> = WebSocketStream<Counted<S>>;

/// Why a connection has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Reads after "the server".
    pub(super) reason: String,
    /// What the server is told, unless it has closed the connection itself.
    pub(super) farewell: Option<CloseCode>,
}

/// The reading half.
pub(super) struct Reader<S> {
    stream: SplitStream<Socket<S>>,
    arrived: ByteCount,
    /// Tells the writer how many pings are to be sent.
    wanted: watch::Sender<u64>,
    sent: watch::Receiver<u64>,
}

/// The writing half.
pub(super) struct Writer<S> {
    sink: SplitSink<Socket<S>, Message>,
    wanted: watch::Receiver<u64>,
    /// Tells the reader how many pings were sent.
    sent: watch::Sender<u64>,
}

/// Begins to speak after the handshake, and gives both halves of the connection.
pub(super) async fn begin<S: Io>(stream: S) -> (Reader<S>, Writer<S>) {
    let arrived = ByteCount::default();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let counted = arrived.of(stream);
    let socket = WebSocketStream::from_raw_socket(counted, Role::Client, Some(config)).await;
    let (sink, stream) = socket.split();
    let (ping, wanted) = watch::channel(0);
    let (pinged, sent) = watch::channel(0);
    (Reader { stream, arrived, wanted: ping, sent }, Writer { sink, wanted, sent: pinged })
}

impl<S: Io> Reader<S> {
    /// The next message that the server says. Pings are answered meanwhile, and a server that is silent is asked whether it is
    /// still there.
    pub(super) async fn next(&mut self) -> Result<Line, Ending> {
        loop {
            match self.next_frame().await? {
                Message::Text(text) => return Ok(Line::Whole(text.into())),
                Message::Binary(bytes) if std::str::from_utf8(&bytes).is_ok() => {
                    return Ok(Line::Whole(bytes));
                }
                Message::Binary(_) => {
                    return Err(Ending::told("sent a binary frame that is no UTF-8", CloseCode::Invalid));
                }
                Message::Close(frame) => return Err(Ending::closed(frame)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Message, Ending> {
        let Reader { stream, arrived, wanted, sent } = self;
        let mut next = stream.next();
        let frame = loop {
            let before = arrived.get();
            if let Ok(frame) = timeout(WEBSOCKET_PING_INTERVAL, &mut next).await {
                break frame;
            }
            if arrived.get() != before {
                continue;
            }
            let earlier = *sent.borrow_and_update();
            wanted.send_modify(|count| *count += 1);
            // The writer gives up if it cannot send.
            tokio::select! {
                frame = &mut next => break frame,
                Ok(_) = sent.wait_for(|count| *count > earlier) => {}
            }
            if let Ok(frame) = timeout(WEBSOCKET_PING_TIMEOUT, &mut next).await {
                break frame;
            }
            if arrived.get() == before {
                return Err(Ending::lost(&silence(WEBSOCKET_PING_TIMEOUT)));
            }
        };
        frame.unwrap_or(Err(Error::ConnectionClosed)).map_err(|error| Ending::of(&error))
    }
}

fn silence(time: Duration) -> String {
    format!("has not answered a ping for {} s", time.as_secs())
}

impl<S: Io> Writer<S> {
    /// Writes what waits, and pings. When the queue was closed and is empty, waits for ever.
    pub(super) async fn write_messages(&mut self, waiting: &mut Drain) -> Ending {
        let mut batch = Vec::new();
        loop {
            let written = tokio::select! {
                more = waiting.take(&mut batch) => {
                    if !more {
                        // Whoever has closed the queue ends the connection.
                        return std::future::pending().await;
                    }
                    self.write_batch(&mut batch).await
                }
                Ok(()) = self.wanted.changed() => self.ping().await,
            };
            if let Err(ending) = written {
                return ending;
            }
        }
    }

    async fn ping(&mut self) -> Result<(), Ending> {
        send(self.sink.send(Message::Ping(Bytes::new()))).await?;
        let wanted = *self.wanted.borrow();
        self.sent.send_replace(wanted);
        Ok(())
    }

    async fn write_batch(&mut self, batch: &mut Vec<Segments>) -> Result<(), Ending> {
        for message in batch.drain(..) {
            // Everything that the hub sends was checked to be UTF-8.
            let text = Utf8Bytes::try_from(message.into_whole());
            let text = text.map_err(|_| Ending::lost("cannot be sent what is no UTF-8"))?;
            send(self.sink.feed(Message::Text(text))).await?;
        }
        send(self.sink.flush()).await
    }

    /// Writes what still waits, closes the connection, and waits until the server has closed it as well.
    pub(super) async fn close_after(&mut self, waiting: &mut Drain, reader: &mut Reader<S>) {
        let mut batch = Vec::new();
        while waiting.take(&mut batch).await {
            if self.write_batch(&mut batch).await.is_err() {
                return;
            }
        }
        self.close(Some(CloseCode::Normal)).await;
        // What the server still says is of no concern to anybody.
        while let Ok(message) = reader.next_frame().await
            && !message.is_close()
        {}
    }

    /// Tells the server why the connection ends; `None` answers its own words.
    pub(super) async fn close(&mut self, code: Option<CloseCode>) {
        let frame = code.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
        let sent = match frame {
            Some(frame) => self.sink.send(Message::Close(Some(frame))).await,
            None => self.sink.flush().await,
        };
        if sent.is_ok() {
            // The connection ends in any case.
            let _ = self.sink.close().await;
        }
    }
}

async fn send(sending: impl Future<Output = Result<(), Error>>) -> Result<(), Ending> {
    match timeout(WEBSOCKET_SEND_TIMEOUT, sending).await {
        Ok(sent) => sent.map_err(|error| Ending::of(&error)),
        Err(_) => {
            Err(Ending::lost(&format!("has not taken a message for {} s", WEBSOCKET_SEND_TIMEOUT.as_secs())))
        }
    }
}

impl Ending {
    fn told(reason: &str, code: CloseCode) -> Self {
        Ending { reason: reason.to_owned(), farewell: Some(code) }
    }

    fn lost(reason: &str) -> Self {
        Ending { reason: reason.to_owned(), farewell: None }
    }

    /// The server has closed the connection.
    fn closed(frame: Option<CloseFrame>) -> Self {
        Ending::lost(&match frame {
            Some(CloseFrame { code, reason }) if reason.is_empty() => {
                format!("closed the connection ({code})")
            }
            Some(CloseFrame { code, reason }) => {
                format!("closed the connection ({code}: {})", visible(reason.as_bytes()))
            }
            None => "closed the connection".to_owned(),
        })
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Ending::lost("closed the connection"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Ending::lost("dropped the connection")
            }
            Error::Capacity(_) => Ending::told("sent a message that is longer than 32 MiB", CloseCode::Size),
            Error::Utf8(_) => Ending::told("sent text that is no UTF-8", CloseCode::Invalid),
            Error::Protocol(what) => {
                let reason = format!("broke the WebSocket protocol: {what}");
                Ending::told(&reason, CloseCode::Protocol)
            }
            other => Ending::lost(&format!("is not connected any more: {other}")),
        }
    }
}

#[cfg(test)]
mod tests;
