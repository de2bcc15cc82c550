//! Writes WebSocket frames to any stream. A long message is written piece by piece from where it lies.

use std::io;

use bytes::Bytes;
use exai_proto::Segments;
use exai_proto::frame::{self, CONTROL_BYTES};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::client::input_budget::Yielder;
use crate::front::frame::{MAX_PIECE_BYTES, Opcode};

/// Frames below this many bytes are gathered into one write.
const MAX_GATHERED_BYTES: usize = 16 * 1024;
/// When so many bytes are gathered, they are written.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// Writes frames.
#[derive(Debug)]
pub struct FrameWriter<S> {
    sink: S,
    /// Bytes that are gathered for one write.
    out: Vec<u8>,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    /// Writes to `sink`.
    pub fn new(sink: S) -> Self {
        FrameWriter { sink, out: Vec::new() }
    }

    /// Writes a frame, now or with the next [`FrameWriter::flush`].
    pub async fn feed(&mut self, opcode: Opcode, payload: impl Into<Segments>) -> io::Result<()> {
        let payload = payload.into();
        frame::put_header(&mut self.out, opcode, payload.len(), None);
        for part in payload.iter() {
            if part.len() >= MAX_GATHERED_BYTES {
                self.write_long(part).await?;
                continue;
            }
            self.out.extend_from_slice(part);
            if self.out.len() >= MAX_WRITE_BYTES {
                self.write_out().await?;
            }
        }
        Ok(())
    }

    /// Writes a long message from where it lies, and lets other tasks run in between.
    async fn write_long(&mut self, part: &[u8]) -> io::Result<()> {
        self.write_out().await?;
        let mut yielder = Yielder::default();
        for piece in part.chunks(MAX_PIECE_BYTES) {
            self.sink.write_all(piece).await?;
            yielder.yield_after(piece.len()).await;
        }
        Ok(())
    }

    /// Writes the frames that were fed.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write_out().await?;
        // A large buffer is given back: a thousand connections may be idle.
        if self.out.capacity() > MAX_GATHERED_BYTES {
            self.out = Vec::new();
        }
        self.sink.flush().await
    }

    /// Writes a close frame. Nothing is written after that.
    pub async fn close(&mut self, why: Option<(u16, &str)>) -> io::Result<()> {
        let mut payload = Vec::new();
        if let Some((code, reason)) = why {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(CONTROL_BYTES - 2)]);
        }
        self.feed(Opcode::Close, Bytes::from(payload)).await?;
        self.flush().await?;
        self.sink.shutdown().await
    }

    async fn write_out(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_written_has_the_shortest_header_and_long_ones_go_as_they_are() {
        let (ours, mut peer) = tokio::io::duplex(1 << 20);
        let mut writer = FrameWriter::new(ours);
        let long = Bytes::from(vec![b'x'; 70_000]);
        writer.feed(Opcode::Text, long.slice(..3)).await.expect("room");
        writer.feed(Opcode::Binary, long.slice(..126)).await.expect("room");
        writer.feed(Opcode::Binary, long.clone()).await.expect("room");
        writer.close(Some((1001, "bye"))).await.expect("room");
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.expect("the end");
        let expected = [
            &b"\x81\x03xxx\x82\x7e\x00\x7e"[..],
            &long[..126],
            b"\x82\x7f\0\0\0\0\0\x01\x11\x70",
            &long,
            b"\x88\x05\x03\xe9bye",
        ];
        assert!(all == expected.concat());
    }
}
