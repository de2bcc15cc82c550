//! WebSocket frames (RFC 6455), the server's half, and why a connection that carries them ends.

use std::io;

use bytes::Bytes;
use exai_proto::frame::HeaderError;
pub use exai_proto::frame::Opcode;

use crate::client::input_budget::InputClaim;

/// The bytes of one piece of a long message.
pub(super) const MAX_PIECE_BYTES: usize = 256 * 1024;

/// A frame, or a message put together from several frames.
#[derive(Debug)]
pub enum Frame {
    /// A message. The bytes of a text message are not checked to be UTF-8 yet.
    Message {
        /// Whether it is a text message.
        text: bool,
        /// The payload.
        bytes: Bytes,
        /// Its part of the input budget.
        claim: InputClaim,
    },
    /// The peer asks for a pong with the same bytes.
    Ping(Bytes),
    /// The answer to a ping.
    Pong(Bytes),
    /// The last frame of the peer, with its code if it has one.
    Close(Option<u16>),
}

/// Codes of close frames.
pub(crate) mod code {
    pub(crate) const AWAY: u16 = 1001;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const NOT_UTF8: u16 = 1007;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_LONG: u16 = 1009;
    pub(crate) const RESTART: u16 = 1012;
    pub(crate) const LATER: u16 = 1013;
}

/// Why no more can be read.
#[derive(Debug)]
pub enum Broken {
    /// The connection is lost or has ended.
    Lost(io::Error),
    /// The peer is told this code and reason, and disconnected.
    Refused(u16, &'static str),
}

impl Broken {
    pub(crate) const NOT_UTF8: Broken = Broken::Refused(code::NOT_UTF8, "text that is not UTF-8");

    pub(super) const fn protocol(why: &'static str) -> Self {
        Broken::Refused(code::PROTOCOL, why)
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Lost(error) => error.fmt(f),
            Broken::Refused(code, why) => write!(f, "{why} ({code})"),
        }
    }
}

impl From<HeaderError> for Broken {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::ReservedBit => Broken::protocol("a reserved bit"),
            HeaderError::UnknownOpcode => Broken::protocol("an unknown opcode"),
            HeaderError::Mask => Broken::protocol("a frame that is not masked"),
            HeaderError::Control => Broken::protocol("a control frame that is too long or in pieces"),
            HeaderError::TooLong => TOO_LONG,
        }
    }
}

pub(super) const TOO_LONG: Broken = Broken::Refused(code::TOO_LONG, "a message may have 32 MiB");
