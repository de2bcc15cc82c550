//! The standard streams of a child. What it writes is awaited, so it writes into a named pipe. What it reads is written
//! on a thread of the runtime's, one write at a time: only then is it known when a write is over, and how it ended.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::System::Pipes::CreatePipe;

use super::handle::{check, own};
use super::security::OwnerOnly;

/// How much may be on its way.
const BUFFER_BYTES: u32 = 64 * 1024;

/// Our end of a child's standard input.
pub use tokio::process::ChildStdin as Input;

/// Our end of a child's standard output or error.
#[derive(Debug)]
pub struct Output(NamedPipeServer);

/// Where the child reads, and where we write.
pub(super) fn input() -> io::Result<(OwnedHandle, Input)> {
    let (mut theirs, mut ours) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: places for both handles; no attributes, so neither is inheritable.
    check(unsafe { CreatePipe(&raw mut theirs, &raw mut ours, std::ptr::null(), BUFFER_BYTES) })?;
    // SAFETY: both new handles are ours.
    let (theirs, ours) = unsafe { (own(theirs)?, own(ours)?) };
    Ok((theirs, Input::from_std(std::process::ChildStdin::from(ours))?))
}

/// Where the child writes, and where we read.
pub(super) fn output() -> io::Result<(OwnedHandle, Output)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), number);
    let name = format!(r"\\.\pipe\exai-stdio-{}-{number}-{random:016x}", std::process::id());
    let security = OwnerOnly::new("GA", "")?;
    let mut options = ServerOptions::new();
    options.access_outbound(false).first_pipe_instance(true).max_instances(1);
    options.reject_remote_clients(true).in_buffer_size(BUFFER_BYTES);
    // SAFETY: the attributes are valid and live as long as the call.
    let ours = unsafe { options.create_with_security_attributes_raw(&name, security.as_void()) }?;
    // No other process can have the other end: there is only one, and from here on it is open.
    let theirs = OpenOptions::new().write(true).open(&name)?;
    // It is connected by now, and must be asked once, or it does not begin to read.
    let connected = std::pin::pin!(ours.connect()).poll(&mut Context::from_waker(Waker::noop()));
    match connected {
        Poll::Ready(result) => result?,
        Poll::Pending => {
            return Err(io::Error::other("BUG: a pipe whose other end is open is not connected"));
        }
    }
    Ok((theirs.into(), Output(ours)))
}

impl AsHandle for Output {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            // The other end is closed.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(())),
            other => other,
        }
    }
}
