//! Reads WebSocket frames from any stream.
//!
//! A long message is read piece by piece into a buffer of its own and unmasked as it arrives. Nothing is copied as a whole,
//! and the loop is not held for longer than one piece takes. Unfinished messages are counted and bounded by
//! [`InputBudget`].

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use exai_proto::frame::{self, Header, Key};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::client::input_budget::{InputBudget, InputClaim, Yielder};
use crate::front::frame::{Broken, Frame, MAX_PIECE_BYTES, Opcode, TOO_LONG, code};
use crate::limits::{MAX_INPUT_BYTES, UNBUDGETED_BYTES, UNFINISHED_TIMEOUT};

/// The least and the most that is read at once of short messages. A peer that sends little needs little room.
const MIN_READ_BYTES: usize = 1024;
const MAX_READ_BYTES: usize = 64 * 1024;
/// The bytes of the longest header.
const MAX_HEADER_BYTES: usize = 14;

/// Unmasks a part of a payload that begins `done` bytes after the payload's start.
fn unmask(bytes: &mut [u8], key: Key, done: usize) {
    let mut key = key;
    key.rotate_left(done % 4);
    frame::mask(bytes, key);
}

/// A message that is being read into a buffer of its own.
#[derive(Debug)]
struct Begun {
    text: bool,
    body: Vec<u8>,
    claim: InputClaim,
    /// The frame that is being read, and where in the body it begins. `None` between two frames.
    frame: Option<(Header, usize)>,
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader<S> {
    source: S,
    /// Bytes that were read and not parsed yet.
    buffer: BytesMut,
    /// How much is read at once.
    chunk: usize,
    begun: Option<Begun>,
    /// Bytes that one message may have.
    longest: usize,
    input_budget: InputBudget,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    /// Reads from `source`. Unfinished messages count against the budget.
    pub fn new(source: S, input_budget: InputBudget) -> Self {
        let (buffer, chunk) = (BytesMut::new(), MIN_READ_BYTES);
        FrameReader { source, buffer, chunk, begun: None, longest: MAX_INPUT_BYTES, input_budget }
    }

    /// Bounds the messages that are not begun yet.
    pub(crate) fn set_longest(&mut self, bytes: usize) {
        self.longest = bytes;
    }

    /// The next frame or message. Cancel safe.
    pub async fn next(&mut self) -> Result<Frame, Broken> {
        loop {
            if self.begun.as_ref().is_some_and(|begun| begun.frame.is_some()) {
                self.read_on().await?;
                if let Some(message) = self.finished() {
                    return Ok(message);
                }
            }
            let Some(header) = frame::read_header(&self.buffer, true, self.longest)? else {
                self.read_more().await?;
                continue;
            };
            let data = matches!(header.opcode, Opcode::Text | Opcode::Binary | Opcode::Continuation);
            if data && (header.opcode == Opcode::Continuation) != self.begun.is_some() {
                return Err(Broken::protocol("the pieces of a message in a wrong order"));
            }
            if !data || header.last && self.begun.is_none() && header.length <= UNBUDGETED_BYTES {
                if self.buffer.len() < header.size + header.length {
                    self.read_more().await?;
                    continue;
                }
                let _ = self.buffer.split_to(header.size);
                let mut payload = self.buffer.split_to(header.length);
                unmask(&mut payload, header.key, 0);
                return whole(header.opcode, payload.freeze());
            }
            self.begin_message(header).await?;
        }
    }

    /// Makes room for a frame that is read into a buffer of its own.
    async fn begin_message(&mut self, header: Header) -> Result<(), Broken> {
        let full = Broken::Refused(code::LATER, "too much is under way; try again later");
        if let Some(begun) = &mut self.begun {
            if begun.body.len() + header.length > self.longest {
                return Err(TOO_LONG);
            }
            begun.claim.grow(header.length).map_err(|_| full)?;
            begun.body.reserve(header.length);
        } else {
            let claim = self.input_budget.claim(header.length).await.map_err(|_| full)?;
            let body = Vec::with_capacity(header.length);
            self.begun = Some(Begun { text: header.opcode == Opcode::Text, body, claim, frame: None });
        }
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let start = begun.body.len();
        let _ = self.buffer.split_to(header.size);
        let there = self.buffer.split_to(header.length.min(self.buffer.len()));
        begun.body.extend_from_slice(&there);
        unmask(&mut begun.body[start..], header.key, 0);
        begun.frame = Some((header, start));
        Ok(())
    }

    /// Reads such a frame to its end.
    async fn read_on(&mut self) -> Result<(), Broken> {
        let Some(Begun { body, frame: Some((header, start)), .. }) = &mut self.begun else { return Ok(()) };
        let end = *start + header.length;
        let mut yielder = Yielder::default();
        while body.len() < end {
            let before = body.len();
            let mut room = (&mut *body).limit((end - before).min(MAX_PIECE_BYTES));
            read(&mut self.source, &mut room, true).await?;
            unmask(&mut body[before..], header.key, before - *start);
            yielder.yield_after(body.len() - before).await;
        }
        Ok(())
    }

    /// Called at the end of a frame. Returns the message if this was its last frame.
    fn finished(&mut self) -> Option<Frame> {
        let begun = self.begun.as_mut()?;
        let (header, _) = begun.frame.take()?;
        if !header.last {
            return None;
        }
        let Begun { text, body, claim, .. } = self.begun.take()?;
        Some(Frame::Message { text, bytes: body.into(), claim })
    }

    async fn read_more(&mut self) -> Result<(), Broken> {
        let unfinished = self.begun.is_some() || !self.buffer.is_empty();
        let free = self.buffer.capacity() - self.buffer.len();
        if free < MAX_HEADER_BYTES.max(self.chunk / 4) {
            self.buffer.reserve(self.chunk);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let before = self.buffer.len();
        read(&mut self.source, &mut self.buffer, unfinished).await?;
        // A peer that sends much at once gets more room, and gives it back when it sends little again.
        let count = self.buffer.len() - before;
        if count == room {
            self.chunk = (self.chunk * 4).min(MAX_READ_BYTES);
        } else if count < self.chunk / 8 {
            self.chunk = (self.chunk / 2).max(MIN_READ_BYTES);
        }
        Ok(())
    }

    /// Reads and drops what the peer still sends, to the end or for this long. If a connection is closed with unread input,
    /// the peer may lose what was written last.
    pub async fn drain(&mut self, time: Duration) {
        let _ = timeout(time, async {
            let mut nowhere = vec![0; MIN_READ_BYTES];
            while matches!(self.source.read(&mut nowhere).await, Ok(1..)) {}
        })
        .await;
    }
}

/// Reads once. The rest of a message that has begun must come in time.
async fn read(
    source: &mut (impl AsyncRead + Unpin),
    room: &mut impl BufMut,
    unfinished: bool,
) -> Result<(), Broken> {
    let read = source.read_buf(room);
    let count = if unfinished {
        timeout(UNFINISHED_TIMEOUT, read)
            .await
            .map_err(|_| Broken::Refused(code::POLICY, "the rest of a message did not come within 30 s"))?
    } else {
        read.await
    };
    match count {
        Ok(0) => Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(Broken::Lost(error)),
    }
}

fn whole(opcode: Opcode, payload: Bytes) -> Result<Frame, Broken> {
    Ok(match opcode {
        Opcode::Ping => Frame::Ping(payload),
        Opcode::Pong => Frame::Pong(payload),
        Opcode::Close => Frame::Close(closing(&payload)?),
        Opcode::Text | Opcode::Binary | Opcode::Continuation => {
            Frame::Message { text: opcode == Opcode::Text, bytes: payload, claim: InputClaim::default() }
        }
    })
}

/// The code of a close frame.
fn closing(payload: &[u8]) -> Result<Option<u16>, Broken> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(Broken::protocol("a close of one byte")) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::protocol("a close with a code that nobody may send"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Broken::NOT_UTF8);
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const KEY: [u8; 4] = [1, 0x80, 0xFF, 7];

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                out.push(0x80 | 0x7E);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(0x80 | 0x7F);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&KEY);
        out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    /// Reads all messages of `wire`, which arrives in steps of at most `step` bytes.
    async fn messages(wire: Vec<u8>, step: usize, input_budget: &InputBudget) -> Vec<Bytes> {
        let (mut peer, ours) = tokio::io::duplex(1 << 20);
        let writing = async move {
            for part in wire.chunks(step) {
                peer.write_all(part).await.expect("it is read");
            }
        };
        let reading = async {
            let mut reader = FrameReader::new(ours, input_budget.clone());
            let mut found = Vec::new();
            loop {
                match reader.next().await {
                    Ok(Frame::Message { bytes, .. }) => found.push(bytes),
                    Ok(_) => {}
                    Err(Broken::Lost(_)) => return found,
                    Err(broken) => panic!("{broken}"),
                }
            }
        };
        tokio::join!(writing, reading).1
    }

    #[tokio::test]
    async fn messages_of_every_length_and_in_pieces_arrive_however_they_are_cut() {
        let input_budget = InputBudget::default();
        let text: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let lengths = [0, 1, 125, 126, 1000, UNBUDGETED_BYTES, UNBUDGETED_BYTES + 1, 65_535, 65_536, 3 << 20];
        let mut wire: Vec<u8> = lengths.iter().flat_map(|length| masked(0x82, &text[..*length])).collect();
        wire.extend(masked(0x01, &text[..7]));
        wire.extend(masked(0x89, b"ping"));
        wire.extend(masked(0x00, &text[7..100_001]));
        wire.extend(masked(0x80, &text[100_001..100_003]));
        for step in [1000, 4097, 70_001, 1 << 22] {
            let found = messages(wire.clone(), step, &input_budget).await;
            let expected = lengths.iter().chain([&100_003]).map(|length| &text[..*length]);
            assert!(found.iter().map(|bytes| &bytes[..]).eq(expected), "in steps of {step}");
        }
        assert_eq!(messages(masked(0x82, b"byte by byte"), 1, &input_budget).await, ["byte by byte"]);
        assert_eq!(input_budget.claimed_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_a_message_and_is_silent_is_let_go_and_who_only_waits_is_not() {
        let input_budget = InputBudget::default();
        let long = masked(0x82, &vec![0; 100_000]);
        let beginnings =
            [&long[..1], &long[..14], &long[..50_000], &masked(0x02, b"a piece")].map(<[u8]>::to_vec);
        for beginning in beginnings {
            let (mut peer, ours) = tokio::io::duplex(1 << 20);
            let mut reader = FrameReader::new(ours, input_budget.clone());
            assert!(
                timeout(UNFINISHED_TIMEOUT * 100, reader.next()).await.is_err(),
                "it has said nothing yet"
            );
            peer.write_all(&beginning).await.expect("it is read");
            let began = tokio::time::Instant::now();
            let broken = reader.next().await.expect_err("it never ends");
            assert!(matches!(broken, Broken::Refused(code::POLICY, _)), "{broken}");
            assert_eq!(began.elapsed().as_secs(), UNFINISHED_TIMEOUT.as_secs());
            drop(reader);
            assert_eq!(input_budget.claimed_bytes(), 0);
        }
    }
}
