//! What a request gets.

use std::time::Duration;

/// An answer, or what comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// Whether anything is sent at all, the head included.
    pub(super) has_head: bool,
    /// Each is sent by itself.
    pub(super) pieces: Vec<Vec<u8>>,
    /// Before each piece.
    pub(super) pause: Duration,
    /// How many pieces are sent. Fewer than there are: then `ending` comes.
    pub(super) sent: usize,
    pub(super) ending: Ending,
}

/// What comes after the pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The orderly end of the body.
    Whole,
    /// The connection is closed without the end of the body.
    Cut,
    /// Nothing, until the client leaves.
    Hang,
}

impl Reply {
    fn new(status: u16, content_type: &str, pieces: Vec<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let sent = pieces.len();
        Reply { status, headers, has_head: true, pieces, pause: Duration::ZERO, sent, ending: Ending::Whole }
    }

    /// A stream of events, each sent by itself.
    pub fn stream(events: &str) -> Self {
        let pieces = events.split_inclusive("\n\n").map(|event| event.as_bytes().to_vec()).collect();
        Reply::new(200, "text/event-stream", pieces)
    }

    /// A document, with this status.
    pub fn json(status: u16, document: &str) -> Self {
        Reply::new(status, "application/json", vec![document.as_bytes().to_vec()])
    }

    /// A web page, with this status.
    pub fn page(status: u16, page: &str) -> Self {
        Reply::new(status, "text/html; charset=utf-8", vec![page.as_bytes().to_vec()])
    }

    /// Silence, before anything is said.
    pub fn hang() -> Self {
        Reply { has_head: false, ending: Ending::Hang, ..Reply::new(200, "", Vec::new()) }
    }

    /// The end of the connection, before anything is said.
    pub fn close() -> Self {
        Reply { has_head: false, ending: Ending::Cut, ..Reply::new(200, "", Vec::new()) }
    }

    /// With this header, too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a pause before each piece.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// In pieces of so many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.pieces = self.pieces.concat().chunks(bytes).map(<[u8]>::to_vec).collect();
        self.sent = self.pieces.len();
        self
    }

    /// Cut off after so many pieces.
    #[must_use]
    pub fn cut_after(mut self, pieces: usize) -> Self {
        self.sent = pieces;
        self.ending = Ending::Cut;
        self
    }

    /// Silent after so many pieces.
    #[must_use]
    pub fn hang_after(mut self, pieces: usize) -> Self {
        self.sent = pieces;
        self.ending = Ending::Hang;
        self
    }
}
