//! The answer to an HTTP request, whose body is still to be read.

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, Incoming};
use hyper::header;

use super::connect::write_causes;
use super::connection_pool::Lent;

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    body: Incoming,
    /// The connection, if it is one of a [`ConnectionPool`](super::connection_pool::ConnectionPool).
    lent: Option<Lent>,
}

/// An answer that broke off after its head. The server has read the request. This is a type of its own, and never becomes a
/// [`Failed`](super::connect::Failed), so that no later failure can be taken for "not sent".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokenOff(pub(super) String);

impl Answer {
    pub(super) fn new(response: Response<Incoming>, lent: Option<Lent>) -> Self {
        let (parts, body) = response.into_parts();
        Answer { head: Response::from_parts(parts, ()), body, lent }
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            let body = &mut self.body;
            let frame =
                std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Ok(None),
                Some(Ok(Ok(data))) => return Ok(Some(data)),
                // Trailers.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => return Err(BrokenOff(write_causes(&error))),
            }
        }
    }

    /// At most `limit` bytes of the body, and whether there is more.
    pub(super) async fn all(&mut self, limit: usize) -> Result<(Vec<u8>, bool), BrokenOff> {
        let mut all = Vec::new();
        while let Some(data) = self.next().await? {
            let room = limit - all.len();
            all.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((all, true));
            }
        }
        Ok((all, false))
    }

    /// Whether it is a stream of events.
    pub(super) fn is_event_stream(&self) -> bool {
        let kind = self.head.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    }

    /// Lets the connection serve the next request. The body must have been read to its end.
    pub(super) fn done(self) {
        if let Some(lent) = self.lent {
            lent.give_back();
        }
    }
}
