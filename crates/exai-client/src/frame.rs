//! WebSocket frames (RFC 6455), the client's half, over bytes: no socket here.
//!
//! A client must mask what it sends, each frame with a fresh random key (section 5.3), so that the author of a
//! message cannot choose the bytes on the wire and make a proxy mistake them for a request. This is done on TCP,
//! since filters or debugging proxies may look at loopback traffic. Nothing stands between both ends of the private
//! local socket. There the key is zero, which is legal and leaves the bytes as they are, so that a megabyte need not
//! be masked.

use std::io::Read;

use exai_proto::frame::{self, Header, HeaderError};
pub use exai_proto::frame::{Key, NO_MASK, Opcode, mask};
use exai_proto::limits;

use crate::buffer::Buffer;
use crate::limits::READ_BYTES;

/// The peer does not speak the protocol, and the link cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Reserved bits or an unknown opcode.
    #[error("a frame with reserved bits or an unknown opcode")]
    Reserved,
    /// A server never masks.
    #[error("a masked frame from the daemon")]
    Masked,
    /// A control frame that is long or in pieces.
    #[error("a control frame that is too long or in pieces")]
    Control,
    /// A piece without a beginning, or a beginning inside a message.
    #[error("the pieces of a message in a wrong order")]
    Order,
    /// More than a message may have.
    #[error("a message of more than {} bytes", limits::MESSAGE_BYTES)]
    TooLong,
}

impl From<HeaderError> for FrameError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::ReservedBit | HeaderError::UnknownOpcode => FrameError::Reserved,
            HeaderError::Mask => FrameError::Masked,
            HeaderError::Control => FrameError::Control,
            HeaderError::TooLong => FrameError::TooLong,
        }
    }
}

/// Appends the header of a whole frame of `length` bytes; the payload follows it, masked with `key`.
pub fn put_header(out: &mut Vec<u8>, opcode: Opcode, length: usize, key: Key) {
    frame::put_header(out, opcode, length, Some(key));
}

/// Appends a whole frame.
pub fn put(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: Key) {
    put_header(out, opcode, payload.len(), key);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..], key);
}

/// Reads a header that the daemon sent; `None` while it is incomplete.
fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    Ok(frame::read_header(bytes, false, limits::MESSAGE_BYTES)?)
}

/// A whole frame, or a message put together from several.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is; never a continuation.
    pub opcode: Opcode,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Finds the frames in the bytes that were read.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Buffer,
    /// How many bytes at the buffer's start belong to the frame handed out last.
    done: usize,
    pieces: Option<(Opcode, Vec<u8>)>,
    whole: Vec<u8>,
}

impl Decoder {
    /// A decoder that begins with the bytes that were read behind the handshake.
    pub fn with(bytes: &[u8]) -> Self {
        Decoder { buffer: Buffer::with(bytes), ..Decoder::default() }
    }

    /// Reads once, as much as is available. Returns how many bytes; 0 is the end.
    pub fn read_from(&mut self, mut source: impl Read) -> std::io::Result<usize> {
        self.release();
        // The length of a frame is known from its beginning: make room for it once.
        let missing = match header(self.buffer.data()) {
            Ok(Some(header)) => (header.size + header.length).saturating_sub(self.buffer.data().len()),
            Ok(None) | Err(_) => 0,
        };
        let count = source.read(self.buffer.room(missing.max(READ_BYTES)))?;
        self.buffer.filled(count);
        Ok(count)
    }

    /// The next frame, or `None` when more has to be read first.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        loop {
            self.release();
            let Some(header) = header(self.buffer.data())? else { return Ok(None) };
            let end = header.size + header.length;
            if self.buffer.data().len() < end {
                return Ok(None);
            }
            self.done = end;
            let payload = header.size..end;
            match (header.opcode, header.last) {
                (Opcode::Continuation, last) => {
                    let (opcode, mut message) = self.pieces.take().ok_or(FrameError::Order)?;
                    if message.len() + payload.len() > limits::MESSAGE_BYTES {
                        return Err(FrameError::TooLong);
                    }
                    message.extend_from_slice(&self.buffer.data()[payload]);
                    if last {
                        self.whole = message;
                        return Ok(Some(Frame { opcode, payload: &self.whole }));
                    }
                    self.pieces = Some((opcode, message));
                }
                (Opcode::Text | Opcode::Binary, _) if self.pieces.is_some() => return Err(FrameError::Order),
                (opcode @ (Opcode::Text | Opcode::Binary), false) => {
                    self.pieces = Some((opcode, self.buffer.data()[payload].to_vec()));
                }
                (opcode, _) => return Ok(Some(Frame { opcode, payload: &self.buffer.data()[payload] })),
            }
        }
    }

    fn release(&mut self) {
        self.buffer.take(std::mem::take(&mut self.done));
        if self.whole.capacity() > 0 {
            self.whole = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server sends it, which has no mask.
    fn server(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..=125 => out.push(length as u8),
            length @ 126..=0xFFFF => {
                out.push(126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    /// Decodes all frames of `wire`, which arrives in steps of at most `step` bytes.
    fn decode(wire: &[u8], step: usize) -> Result<Vec<(Opcode, Vec<u8>)>, FrameError> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for mut part in wire.chunks(step) {
            while decoder.read_from(&mut part).unwrap() > 0 {
                while let Some(frame) = decoder.next_frame()? {
                    found.push((frame.opcode, frame.payload.to_vec()));
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_of_every_length_arrive_however_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let wire = [
            server(0x82, b"a"),
            server(0x81, b"{}"),
            server(0x82, &long[..126]),
            server(0x89, b"ping"),
            server(0x82, &long[..65_536]),
            server(0x82, b""),
            server(0x88, b""),
        ]
        .concat();
        let expected: Vec<(Opcode, Vec<u8>)> = vec![
            (Opcode::Binary, b"a".to_vec()),
            (Opcode::Text, b"{}".to_vec()),
            (Opcode::Binary, long[..126].to_vec()),
            (Opcode::Ping, b"ping".to_vec()),
            (Opcode::Binary, long[..65_536].to_vec()),
            (Opcode::Binary, Vec::new()),
            (Opcode::Close, Vec::new()),
        ];
        for step in [1, 2, 3, 7, 130, 4096, 1 << 20] {
            assert_eq!(decode(&wire, step).unwrap(), expected, "in steps of {step}");
        }
    }

    #[test]
    fn pieces_are_put_together_around_a_ping() {
        let wire = [
            server(0x02, b"ab"),
            server(0x89, b"p"),
            server(0x00, b"cd"),
            server(0x80, b"e"),
            server(0x82, b"f"),
        ];
        let expected = [(Opcode::Ping, &b"p"[..]), (Opcode::Binary, b"abcde"), (Opcode::Binary, b"f")]
            .map(|(opcode, payload)| (opcode, payload.to_vec()));
        assert_eq!(decode(&wire.concat(), 3).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let length = |bytes: u64| [&[0x82, 127][..], &bytes.to_be_bytes()].concat();
        let mut cases: Vec<(Vec<u8>, FrameError)> = vec![
            (vec![0x82, 0x80, 0, 0, 0, 0], FrameError::Masked),
            (server(0x80, b"x"), FrameError::Order),
            (server(0x00, b"x"), FrameError::Order),
            ([server(0x02, b"a"), server(0x82, b"b")].concat(), FrameError::Order),
            ([server(0x01, b"a"), server(0x01, b"b")].concat(), FrameError::Order),
            ([server(0x02, b"a"), server(0x80, b"b"), server(0x80, b"c")].concat(), FrameError::Order),
            (length(limits::MESSAGE_BYTES as u64 + 1), FrameError::TooLong),
            (length(u64::MAX >> 1), FrameError::TooLong),
            (length(u64::MAX), FrameError::TooLong),
        ];
        for bit in [0x40, 0x20, 0x10] {
            cases.push((vec![0x82 | bit, 0], FrameError::Reserved));
        }
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            cases.push((vec![0x80 | opcode, 0], FrameError::Reserved));
        }
        for control in [0x8, 0x9, 0xA] {
            cases.push((server(control, b""), FrameError::Control));
            cases.push((server(0x80 | control, &[0; 126]), FrameError::Control));
        }
        for (wire, expected) in cases {
            for step in [1, 1000] {
                assert_eq!(decode(&wire, step), Err(expected), "{:02x?}", &wire[..wire.len().min(16)]);
            }
            // The error must be the same behind a good frame.
            let wire = [server(0x82, b"good"), wire].concat();
            assert_eq!(decode(&wire, 1000), Err(expected));
        }
    }

    #[test]
    fn a_message_in_pieces_has_the_bounds_of_a_whole_one() {
        let half = vec![b'x'; limits::MESSAGE_BYTES / 2];
        let whole = [server(0x02, &half), server(0x80, &half)].concat();
        assert_eq!(decode(&whole, 1 << 20).unwrap()[0].1.len(), limits::MESSAGE_BYTES);
        let longer = [server(0x02, &half), server(0x00, &half), server(0x80, b"x")].concat();
        assert_eq!(decode(&longer, 1 << 20), Err(FrameError::TooLong));
    }

    #[test]
    fn a_mask_taken_off_again_leaves_what_was_there() {
        let key = [1, 0x80, 0xFF, 7];
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [0, 1, 3, 4, 5, 8, 127, 1000] {
            let mut out = Vec::new();
            put(&mut out, Opcode::Text, &text[..length], key);
            let payload = out.len() - length;
            assert_eq!(out[payload - 4..payload], key);
            let unmasked = out[payload..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            assert!(unmasked.eq(text[..length].iter().copied()), "{length}");
            mask(&mut out[payload..], key);
            assert_eq!(out[payload..], text[..length]);
        }
    }

    #[test]
    fn what_is_sent_has_the_shortest_length_and_may_stay_as_it_is() {
        let mut out = Vec::new();
        put(&mut out, Opcode::Binary, b"hi", NO_MASK);
        assert_eq!(out, b"\x82\x82\0\0\0\0hi");
        for (length, expected) in [(125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            out.clear();
            put_header(&mut out, Opcode::Binary, length, NO_MASK);
            assert_eq!(out.len(), expected, "{length}");
        }
    }
}
