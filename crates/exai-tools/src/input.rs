//! The input of the server, which says at once when it has ended: rmcp waits for the calls under way before it does, and
//! meanwhile they would cost money that nobody wants to spend.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// A reader that cancels a token at its end.
#[derive(Debug)]
pub(crate) struct Input<R> {
    reader: R,
    ended: CancellationToken,
}

impl<R> Input<R> {
    pub(crate) fn new(reader: R, ended: CancellationToken) -> Input<R> {
        Input { reader, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.reader).poll_read(context, buffer));
        if read.is_err() || buffer.filled().len() == before {
            self.ended.cancel();
        }
        Poll::Ready(read)
    }
}
