use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, FromRawHandle as _, RawHandle};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::JobObjects::IsProcessInJob;
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS, GetCurrentProcess,
};

use super::handle::check;
use super::spawn::{self, Program};
use crate::detach::{READY_ARGUMENT, ReadyPipe, Started};

/// Anonymous pipes cannot be waited on with a deadline: a thread reads, and ends with the pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
}

impl Pipe {
    fn new(mut reader: io::PipeReader) -> io::Result<Pipe> {
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

/// It inherits nothing else: a daemon that holds its starter's stdout keeps the starter's client waiting for ever.
pub(crate) fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
) -> io::Result<Started> {
    let (reader, writer) = io::pipe()?;
    let (nothing, log) = (OpenOptions::new().read(true).open("NUL")?, crate::private::open_append(log)?);
    let mut args = args.to_vec();
    args.push(READY_ARGUMENT.into());
    args.push(writer.as_raw_handle().addr().to_string().into());
    let born = spawn::start(&Program {
        file: exe,
        args: &args,
        env,
        cwd,
        stdio: [nothing.as_handle(), log.as_handle(), log.as_handle()],
        also: Some(writer.as_handle()),
        job: None,
        flags: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_BREAKAWAY_FROM_JOB,
    });
    let pid = born.map_err(explain)?.pid;
    drop(writer);
    Ok(Started { pid, ready: ReadyPipe(Pipe::new(reader)?) })
}

/// Never again without breakaway: a daemon within the starter's job would die with the starter.
fn explain(error: io::Error) -> io::Error {
    let mut in_a_job = 0;
    // SAFETY: the pseudo handle of this process, any job, and a place for the answer.
    unsafe { IsProcessInJob(GetCurrentProcess(), std::ptr::null_mut(), &raw mut in_a_job) };
    if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) && in_a_job != 0 {
        let sentence = "Windows refuses to start the daemon outside of this program's job (access denied)";
        return io::Error::new(io::ErrorKind::PermissionDenied, sentence);
    }
    error
}

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
