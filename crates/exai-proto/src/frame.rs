//! WebSocket frames (RFC 6455, section 5.2): what both ends of a connection write and read alike.

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Continues the message of the frame before.
    Continuation = 0x0,
    /// Text: a control message of the link; an MCP message on TCP.
    Text = 0x1,
    /// Anything else: an MCP message of the link.
    Binary = 0x2,
    /// The last frame of a side.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xA,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|opcode| *opcode as u8 == bits)
    }
}

/// What a control frame may carry.
pub const CONTROL_BYTES: usize = 125;
const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What the payload of a frame is masked with.
pub type Key = [u8; 4];
/// The key that leaves everything as it is.
pub const NO_MASK: Key = [0; 4];

/// Masks the bytes of a payload, or takes the mask off: of a whole one, or of a part that begins at a multiple of the
/// key's length.
pub fn mask(bytes: &mut [u8], key: Key) {
    if key == NO_MASK {
        return;
    }
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Appends the header of a whole message of `length` bytes. A client masks what it sends, with `key`; a server does not.
pub fn put_header(out: &mut Vec<u8>, opcode: Opcode, length: usize, key: Option<Key>) {
    let masked = if key.is_some() { MASKED } else { 0 };
    out.push(LAST | opcode as u8);
    match length {
        0..=125 => out.push(masked | length as u8),
        126..=0xFFFF => {
            out.push(masked | 0x7E);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 0x7F);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend(key.into_iter().flatten());
}

/// How a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether it is the last frame of its message.
    pub last: bool,
    /// What it is.
    pub opcode: Opcode,
    /// What its payload is masked with; [`NO_MASK`] in a frame of a server.
    pub key: Key,
    /// How many bytes the header has.
    pub size: usize,
    /// How many bytes the payload has.
    pub length: usize,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// A bit is set that has no meaning.
    ReservedBit,
    /// There is no such opcode.
    UnknownOpcode,
    /// A server never masks, and a client always does.
    Mask,
    /// A control frame that is too long or in pieces.
    Control,
    /// The payload is longer than it may be.
    TooLong,
}

/// Reads the header of a frame of a client (`masked`) or a server, with a payload of at most `longest` bytes; `None` while
/// it is not there whole.
pub fn read_header(bytes: &[u8], masked: bool, longest: usize) -> Result<Option<Header>, HeaderError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(HeaderError::ReservedBit);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(HeaderError::UnknownOpcode)?;
    if (second & MASKED != 0) != masked {
        return Err(HeaderError::Mask);
    }
    let (more, length) = match second & !MASKED {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (8, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        short => (0, u64::from(short)),
    };
    let last = first & LAST != 0;
    let control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    if control && (!last || length > CONTROL_BYTES as u64) {
        return Err(HeaderError::Control);
    }
    let length =
        usize::try_from(length).ok().filter(|length| *length <= longest).ok_or(HeaderError::TooLong)?;
    let (key, size) = match rest[more..].first_chunk() {
        _ if !masked => (NO_MASK, 2 + more),
        Some(key) => (*key, 2 + more + key.len()),
        None => return Ok(None),
    };
    Ok(Some(Header { last, opcode, key, size, length }))
}
