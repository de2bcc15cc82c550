//! A link between a shim and a daemon: two pipes that are counted in bytes, so that it can be cut within a frame.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::ClientId;
use exai_proto::link::ByeReason;

/// The header of a frame.
const HEADER: u64 = 6;

/// What a shim writes.
#[derive(Debug)]
pub(crate) enum Up {
    Line(Bytes),
    /// It holds what its client says from here on.
    Held,
    End,
}

/// What a daemon writes.
#[derive(Debug)]
pub(crate) enum Down {
    Message(Bytes),
    Repeatable(Vec<String>),
    /// `hold`, and the ping behind it.
    Hold,
    Bye(ByeReason),
    End,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe<T> {
    pub(crate) frames: VecDeque<T>,
    /// When the last of them arrives: none overtakes another.
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
    /// What the daemon has not written yet: control messages go first.
    pub(crate) controls: Vec<Down>,
    pub(crate) outbox: Vec<Down>,
    pub(crate) flushing: bool,
    /// Neither side can write any more.
    pub(crate) broken: bool,
    /// What was under way when it broke does not arrive.
    pub(crate) lose: bool,
}

impl<T> Pipe<T> {
    fn new() -> Self {
        Pipe { frames: VecDeque::new(), last: Duration::ZERO, written: 0, cut: None }
    }

    /// The next frame of so many bytes is written whole, or the link is to be cut within it.
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
