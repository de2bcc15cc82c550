//! A link between a shim and a daemon: two pipes that count their bytes, so that a link can be cut within a frame.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::ClientId;
use exai_proto::link::ByeReason;

/// The length of a frame's header, in bytes.
const HEADER: u64 = 6;

/// A frame from a shim.
#[derive(Debug)]
pub(crate) enum Up {
    Line(Bytes),
    /// The shim holds the messages of its client from here on.
    Held,
    End,
}

/// A frame from a daemon.
#[derive(Debug)]
pub(crate) enum Down {
    Message(Bytes),
    Repeatable(Vec<String>),
    /// The control message `hold`, and the ping behind it.
    Hold,
    Bye(ByeReason),
    End,
}

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Pipe<T> {
    pub(crate) frames: VecDeque<T>,
    /// When the last frame arrives. No frame overtakes another.
    pub(crate) last: Duration,
    written: u64,
    cut: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shim: usize,
    pub(crate) life: u32,
    pub(crate) client: ClientId,
    pub(crate) up: Pipe<Up>,
    pub(crate) down: Pipe<Down>,
    /// The control messages that the daemon has not written yet, and below them the other messages. Control messages go
    /// first.
    pub(crate) controls: Vec<Down>,
    pub(crate) outbox: Vec<Down>,
    pub(crate) flushing: bool,
    /// Whether neither side can write any more.
    pub(crate) broken: bool,
    /// Whether frames that are on their way when the link breaks are lost.
    pub(crate) lose: bool,
}

impl<T> Pipe<T> {
    fn new() -> Self {
        Pipe { frames: VecDeque::new(), last: Duration::ZERO, written: 0, cut: None }
    }

    /// Counts the next frame of this many bytes. `false` means that the link is cut within the frame.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.written += HEADER + bytes as u64;
        self.cut.is_none_or(|cut| self.written <= cut)
    }

    pub(crate) fn cut_after(&mut self, bytes: u64) {
        self.cut = Some(self.written + bytes);
    }
}

impl Link {
    pub(crate) fn new(shim: usize, life: u32, client: ClientId) -> Self {
        Link {
            shim,
            life,
            client,
            up: Pipe::new(),
            down: Pipe::new(),
            controls: Vec::new(),
            outbox: Vec::new(),
            flushing: false,
            broken: false,
            lose: false,
        }
    }
}

impl Down {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Down::Message(bytes) => bytes.len(),
            Down::Repeatable(tools) => 30 + tools.len() * 10,
            Down::Hold | Down::Bye(_) | Down::End => 30,
        }
    }
}
