use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, RawHandle};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, DETACHED_PROCESS,
};

use super::handle::check;
use super::spawn::{self, Born, Program};
use super::{job, outside};
use crate::detach::{READY_ARGUMENT, ReadyPipe, Started, Tether, WAY_ARGUMENT, Way};

/// Such pipes cannot be waited on with a deadline: a thread reads, and ends with the pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
}

impl Pipe {
    pub(super) fn new(mut reader: impl io::Read + Send + 'static) -> io::Result<Pipe> {
        let (sender, chunks) = sync_channel(4);
        std::thread::Builder::new().name("ready-pipe".to_owned()).spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let chunk = match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => Ok(buffer[..count].to_vec()),
                    Err(error) => Err(error),
                };
                let failed = chunk.is_err();
                // Nobody listens any more, or there is nothing more to hear.
                if sender.send(chunk).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Pipe { chunks, rest: Vec::new() })
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => self.rest = chunk?,
                Err(_) => return Ok(0),
            }
        }
        Ok(self.take(buffer))
    }

    pub(crate) fn read_until(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.rest = chunk?,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    let sentence = "the daemon did not say whether it is ready";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, sentence));
                }
            }
        }
        Ok(self.take(buffer))
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        count
    }
}

pub(crate) fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
) -> io::Result<Started> {
    let daemon = Daemon { exe, args, env, cwd, log };
    if !job::we_are_in_one() {
        return daemon.start(Way::Alone, 0)?.ok_or_else(unexpected_job);
    }
    let (refused, flags) = match daemon.start(Way::Breakaway, CREATE_BREAKAWAY_FROM_JOB) {
        Ok(Some(started)) => return Ok(started),
        Ok(None) => ("that job is within another, which keeps it", CREATE_BREAKAWAY_FROM_JOB),
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => {
            ("the job does not let it go", 0)
        }
        Err(error) => return Err(error),
    };
    let no_wmi = match outside::start(&daemon) {
        Ok(started) => return Ok(started),
        Err(error) => error,
    };
    // Never within a job that is known to end it. The daemon itself looks at the one that it finds itself in.
    if flags == 0 && crate::detach::tether() == Tether::EndsWithIt {
        let sentence = format!(
            "the daemon would end with the program that starts it, whose job ends everything in it: {refused}, and \
             Windows' management service (WMI) did not start it outside: {no_wmi}. Start it from elsewhere: \
             `exai start` in a terminal of its own"
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    daemon.start(Way::Inside, flags)?.ok_or_else(unexpected_job)
}

/// Who is started in no job, or may be in one, is not refused for it.
fn unexpected_job() -> io::Error {
    io::Error::other("Windows put the daemon into a job that its starter is not in")
}

/// What is to be started.
pub(super) struct Daemon<'a> {
    pub(super) exe: &'a Path,
    pub(super) args: &'a [OsString],
    pub(super) env: &'a [(OsString, OsString)],
    pub(super) cwd: &'a Path,
    pub(super) log: &'a Path,
}

impl Daemon<'_> {
    /// `None` when the way led into another job, which only [`Way::Inside`] may: then nothing has run.
    fn start(&self, way: Way, flags: u32) -> io::Result<Option<Started>> {
        let (reader, writer) = io::pipe()?;
        let Some(born) = self.born(way, flags, writer.as_handle())? else { return Ok(None) };
        drop(writer);
        born.run()?;
        Ok(Some(Started { pid: born.pid, ready: ReadyPipe(Pipe::new(reader)?) }))
    }

    /// The same, not yet running, with this end of the readiness pipe. It inherits nothing else: a daemon that holds
    /// its starter's stdout keeps the starter's client waiting for ever.
    pub(super) fn born(&self, way: Way, flags: u32, ready: BorrowedHandle<'_>) -> io::Result<Option<Born>> {
        let (nothing, log) =
            (OpenOptions::new().read(true).open("NUL")?, crate::private::open_append(self.log)?);
        let mut args = self.args.to_vec();
        args.extend([WAY_ARGUMENT, way.as_str(), READY_ARGUMENT].map(OsString::from));
        args.push(ready.as_raw_handle().addr().to_string().into());
        let born = spawn::start(&Program {
            file: self.exe,
            args: &args,
            env: self.env,
            cwd: self.cwd,
            stdio: [nothing.as_handle(), log.as_handle(), log.as_handle()],
            also: Some(ready),
            job: None,
            flags: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED | flags,
        })?;
        if way != Way::Inside && job::is_in_one(born.process.as_handle()).unwrap_or(true) {
            born.forget()?;
            return Ok(None);
        }
        Ok(Some(born))
    }
}

pub(crate) fn tether() -> Tether {
    match (job::we_are_in_one(), job::ours_kills()) {
        (false, _) => Tether::Free,
        (true, false) => Tether::Within,
        (true, true) => Tether::EndsWithIt,
    }
}

pub(crate) use super::outside::outside;

pub(crate) fn ready_writer(token: &str) -> io::Result<File> {
    let refused = || {
        let sentence = format!("`{token}` names no readiness pipe that was handed to this process");
        io::Error::new(io::ErrorKind::InvalidInput, sentence)
    };
    let number: usize = token.parse().ok().filter(|number| *number != 0).ok_or_else(refused)?;
    let raw: RawHandle = std::ptr::with_exposed_provenance_mut(number);
    let mut flags = 0;
    // SAFETY: both calls only look at a number in this process's table, and fail where there is nothing.
    let handed_over = unsafe {
        // Every handle that this process opened itself is not inheritable: one that is was inherited.
        GetHandleInformation(raw, &raw mut flags) != 0
            && flags & HANDLE_FLAG_INHERIT != 0
            && GetFileType(raw) == FILE_TYPE_PIPE
    };
    if !handed_over {
        return Err(refused());
    }
    // SAFETY: as above. Changing the flag is what makes the token work once.
    check(unsafe { SetHandleInformation(raw, HANDLE_FLAG_INHERIT, 0) })?;
    // SAFETY: open, a pipe, and nobody in this process owns it: it was inherited, and by the flag that
    // was just cleared it is taken here for the first time.
    Ok(unsafe { File::from_raw_handle(raw) })
}

pub(crate) fn new_session_now() {}
