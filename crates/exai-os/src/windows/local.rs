use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_NO_DATA, ERROR_PIPE_BUSY,
    ERROR_PIPE_NOT_CONNECTED, ERROR_SEM_TIMEOUT, HANDLE,
};
use windows_sys::Win32::Security::Authorization::SE_KERNEL_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, ReadFile, SECURITY_IDENTIFICATION, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    GetNamedPipeClientProcessId, GetNamedPipeServerProcessId, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;
use windows_sys::core::BOOL;

use super::handle::{check, event, millis, wait_any, wide};
use super::security::{OwnerOnly, User, is_ours};
use crate::local::Peer;

pub(crate) type Name = String;
pub(crate) type Stream = NamedPipeServer;

pub(super) const PREFIX: &str = r"\\.\pipe\exai-";

/// Instances of the pipe that wait for a client: a crowd of shims connects without asking twice.
const MAX_WAITING: usize = 8;

pub(crate) fn fresh(home: &Path, nonce: &str) -> io::Result<Name> {
    Ok(format!("{PREFIX}{}-{nonce}", crate::hash::of_path(&std::path::absolute(home)?)))
}

/// As long as its daemon lives.
pub(crate) fn exists(_name: &Name) -> bool {
    true
}

/// Pipes go with the process that served them.
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn sockets(_home: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(Vec::new())
}

pub(crate) fn show(name: &Name, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(name)
}

/// Only a pipe of exai on this machine: any other text could lead a shim to a stranger's server.
pub(crate) fn parse(text: &str) -> Option<Name> {
    let rest = text.strip_prefix(PREFIX)?;
    let plain = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && text.len() < 256).then(|| text.to_owned())
}

fn code(error: &io::Error) -> u32 {
    error.raw_os_error().map_or(0, i32::cast_unsigned)
}

/// A pipe opened for overlapped I/O: on any other, a read in one thread would block a write in another.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Gone once it was closed; reads and writes hold their own reference while they last.
    pipe: Mutex<Option<Arc<OwnedHandle>>>,
    /// Set when it was closed.
    closed: OwnedHandle,
    read_timeout: Mutex<Option<Duration>>,
}

impl Connection {
    pub(crate) fn connect(name: &Name, timeout: Duration) -> io::Result<Connection> {
        let deadline = Instant::now() + timeout;
        let pipe = loop {
            // The server may learn who we are, but not act as us.
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(FILE_FLAG_OVERLAPPED)
                .security_qos_flags(SECURITY_IDENTIFICATION)
                .open(name);
            match opened {
                Ok(file) => break OwnedHandle::from(file),
                Err(error) if code(&error) == ERROR_PIPE_BUSY => wait_for_instance(name, deadline)?,
                Err(error) => return Err(error),
            }
        };
        Ok(Connection {
            pipe: Mutex::new(Some(Arc::new(pipe))),
            closed: event()?,
            read_timeout: Mutex::new(None),
        })
    }

    fn pipe(&self) -> Option<Arc<OwnedHandle>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn peer(&self) -> io::Result<Peer> {
        let pipe = self.pipe().ok_or(io::ErrorKind::NotConnected)?;
        server(pipe.as_handle())
    }

    #[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        *self.read_timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
        Ok(())
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "its twin needs both")]
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn close(&self) {
        let pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
        // SAFETY: an open event.
        unsafe { windows_sys::Win32::System::Threading::SetEvent(self.closed.as_raw_handle()) };
        drop(pipe); // the last reference closes the pipe, here or in a reader that wakes up
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = self.pipe() else { return Ok(0) };
        let timeout = *self.read_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let result = self.overlapped(&pipe, timeout, |pipe, overlapped| {
            // SAFETY: the buffer has the length given, and `overlapped` returns only after the system
            // has finished with it.
            unsafe { ReadFile(pipe, buffer.as_mut_ptr(), length, std::ptr::null_mut(), overlapped) }
        });
        match result {
            Ok(None) => Ok(0), // closed by us
            Ok(Some(count)) => Ok(count),
            Err(error) if matches!(code(&error), ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED) => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        let pipe = self.pipe().ok_or(io::ErrorKind::BrokenPipe)?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let result = self.overlapped(&pipe, None, |pipe, overlapped| {
            // SAFETY: as in `read`.
            unsafe { WriteFile(pipe, buffer.as_ptr(), length, std::ptr::null_mut(), overlapped) }
        });
        match result {
            Ok(Some(count)) => Ok(count),
            Ok(None) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) if matches!(code(&error), ERROR_NO_DATA | ERROR_PIPE_NOT_CONNECTED) => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Starts an operation and waits for its end, for `close` (`None`) or for the timeout. It returns
    /// only when the system no longer uses the buffer.
    fn overlapped(
        &self,
        pipe: &OwnedHandle,
        timeout: Option<Duration>,
        start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> BOOL,
    ) -> io::Result<Option<usize>> {
        let done = event()?;
        let mut overlapped = OVERLAPPED { hEvent: done.as_raw_handle(), ..OVERLAPPED::default() };
        let raw = pipe.as_raw_handle();
        if start(raw, &raw mut overlapped) == 0 {
            let error = io::Error::last_os_error();
            if code(&error) != ERROR_IO_PENDING {
                return Err(error);
            }
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let woken = wait_any(&[done.as_handle(), self.closed.as_handle()], deadline);
        if !matches!(woken, Ok(Some(0))) {
            // SAFETY: the operation was started with these. It may have ended meanwhile; that is fine.
            unsafe { CancelIoEx(raw, &raw const overlapped) };
        }
        let mut count = 0;
        // SAFETY: as above; this waits for the end, also of a cancelled operation.
        let ended = check(unsafe { GetOverlappedResult(raw, &raw const overlapped, &raw mut count, 1) });
        match (ended, woken?) {
            // What was transferred in the last moment is not lost.
            (Ok(()), _) => Ok(Some(count as usize)),
            (Err(error), Some(0)) => Err(error),
            (Err(_), Some(_)) => Ok(None),
            (Err(_), None) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn wait_for_instance(name: &Name, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let busy = || io::Error::new(io::ErrorKind::TimedOut, "the daemon accepts nobody");
    if left.is_zero() {
        return Err(busy());
    }
    let name = wide(name)?;
    // SAFETY: the name ends with a zero. Zero milliseconds would mean the server's default.
    match check(unsafe { WaitNamedPipeW(name.as_ptr(), millis(left).max(1)) }) {
        Err(error) if code(&error) == ERROR_SEM_TIMEOUT => Err(busy()),
        result => result,
    }
}

/// The other end of a pipe that we have opened. Its pid may be another process's by now; whose the pipe is stays true.
pub(super) fn server(pipe: BorrowedHandle<'_>) -> io::Result<Peer> {
    let peer = peer(pipe.as_raw_handle(), |pipe, pid| {
        // SAFETY: an open pipe and a place for the pid.
        unsafe { GetNamedPipeServerProcessId(pipe, pid) }
    })?;
    Ok(Peer { same_user: peer.same_user && is_ours(pipe, SE_KERNEL_OBJECT)?, ..peer })
}

/// The other end of a pipe that we serve. It has come in as our account, for the pipe's access list names no other.
pub(super) fn client(pipe: HANDLE) -> io::Result<Peer> {
    peer(pipe, |pipe, pid| {
        // SAFETY: an open pipe and a place for the pid.
        unsafe { GetNamedPipeClientProcessId(pipe, pid) }
    })
}

/// The other end, by its pid. A process that we may not look at counts as a stranger.
fn peer(pipe: HANDLE, pid_of: impl FnOnce(HANDLE, *mut u32) -> BOOL) -> io::Result<Peer> {
    let mut pid = 0;
    check(pid_of(pipe, &raw mut pid))?;
    let user = |pid| {
        let process = super::handle::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()??;
        User::of_process(process.as_handle()).ok()
    };
    let ours = User::current()?;
    Ok(Peer { same_user: user(pid).is_some_and(|user| user.same(&ours)), uid: None, pid: Some(pid) })
}

#[derive(Debug)]
pub(crate) struct Listener {
    name: Name,
    security: OwnerOnly,
    waiting: Vec<NamedPipeServer>,
}

impl Listener {
    pub(crate) fn bind(name: &Name) -> io::Result<Listener> {
        let security = OwnerOnly::new("GA", "")?;
        let first = instance(name, &security, true).map_err(|error| {
            if code(&error) == ERROR_ACCESS_DENIED {
                return io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another process serves a pipe of this name",
                );
            }
            error
        })?;
        let mut listener = Listener { name: name.clone(), security, waiting: vec![first] };
        listener.refill()?;
        Ok(listener)
    }

    /// Fails only when no instance is left to wait with.
    fn refill(&mut self) -> io::Result<()> {
        while self.waiting.len() < MAX_WAITING {
            match instance(&self.name, &self.security, false) {
                Ok(instance) => self.waiting.push(instance),
                Err(error) if self.waiting.is_empty() => return Err(error),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        self.refill()?;
        let (at, connected) = {
            let mut connecting: Vec<_> =
                self.waiting.iter().map(|instance| Box::pin(instance.connect())).collect();
            std::future::poll_fn(|context| {
                let ready = connecting.iter_mut().enumerate().find_map(|(at, connect)| {
                    match connect.as_mut().poll(context) {
                        Poll::Ready(result) => Some((at, result)),
                        Poll::Pending => None,
                    }
                });
                ready.map_or(Poll::Pending, Poll::Ready)
            })
            .await
        };
        let stream = self.waiting.swap_remove(at);
        // The next one before this one is handed out, so that the name never disappears.
        self.refill()?;
        connected?;
        let peer = client(stream.as_raw_handle())?;
        Ok((stream, peer))
    }
}

fn instance(name: &Name, security: &OwnerOnly, first: bool) -> io::Result<NamedPipeServer> {
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    // SAFETY: the attributes are valid and live as long as the call.
    unsafe { options.create_with_security_attributes_raw(name, security.as_void()) }
}
