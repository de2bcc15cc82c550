//! The standard streams of a child: named pipes, since only those can be awaited. The child's end is an ordinary
//! handle that blocks, as programs expect.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

use super::security::OwnerOnly;

/// How much may be on its way.
const BUFFER: u32 = 64 * 1024;

/// Our end of a child's standard input.
#[derive(Debug)]
pub struct Input(NamedPipeServer);

/// Our end of a child's standard output or error.
#[derive(Debug)]
pub struct Output(NamedPipeServer);

/// Where the child reads, and where we write.
pub(super) fn input() -> io::Result<(OwnedHandle, Input)> {
    let (theirs, ours) = pipe(true)?;
    Ok((theirs, Input(ours)))
}

/// Where the child writes, and where we read.
pub(super) fn output() -> io::Result<(OwnedHandle, Output)> {
    let (theirs, ours) = pipe(false)?;
    Ok((theirs, Output(ours)))
}

/// `down`: from us to the child. Nobody else can have the other end: there is one, and it is open.
fn pipe(down: bool) -> io::Result<(OwnedHandle, NamedPipeServer)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), number);
    let name = format!(r"\\.\pipe\exai-stdio-{}-{number}-{random:016x}", std::process::id());
    let security = OwnerOnly::new("GA", "")?;
    let mut options = ServerOptions::new();
    options.access_outbound(down).access_inbound(!down).first_pipe_instance(true).max_instances(1);
    options.reject_remote_clients(true).in_buffer_size(BUFFER).out_buffer_size(BUFFER);
    // SAFETY: the attributes are valid and live as long as the call.
    let ours = unsafe { options.create_with_security_attributes_raw(&name, security.as_void()) }?;
    let theirs = OpenOptions::new().read(down).write(!down).open(&name)?;
    // It is connected by now, and must be asked once, or it does not begin to read.
    let connected = std::pin::pin!(ours.connect()).poll(&mut Context::from_waker(Waker::noop()));
    match connected {
        Poll::Ready(result) => result?,
        Poll::Pending => {
            return Err(io::Error::other("BUG: a pipe whose other end is open is not connected"));
        }
    }
    Ok((theirs.into(), ours))
}

impl AsHandle for Input {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl AsHandle for Output {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            // Nobody has the other end any more.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(())),
            other => other,
        }
    }
}
