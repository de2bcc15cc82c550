use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, RawHandle};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS,
};

use super::handle::{check, wait_any};
use super::spawn::{self, Born, Program};
use super::{job, outside};
use crate::detach::{OUTSIDE_COMMAND, READY_ARGUMENT, ReadyPipe, Started, Tether, WAY_ARGUMENT, Way};

/// How long one that only looks at its job may take.
const PROBE: Duration = Duration::from_secs(2);

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
    deadline: Instant,
) -> io::Result<Started> {
    let daemon = Daemon {
        exe: exe.to_owned(),
        args: args.to_vec(),
        env: env.to_vec(),
        cwd: if spawn::may_be_started_in(cwd) { cwd.to_owned() } else { super::account::system_directory()? },
        log: log.to_owned(),
    };
    if !job::we_are_in_one() {
        // Windows may put it into a job of its own making, which is nobody's.
        return daemon.start(Way::Alone, 0, Allowed::Harmless)?.ok_or_else(|| {
            io::Error::other("Windows would put the daemon into a job that ends everything in it")
        });
    }
    // Out of every job, since of several around a process only the innermost shows: Claude Desktop's package has a job
    // that ends nobody, and cannot be updated while somebody is in it
    // (<https://github.com/anthropics/claude-code/issues/53247>).
    let (rest, leaving) = match daemon.start(Way::Breakaway, CREATE_BREAKAWAY_FROM_JOB, Allowed::None) {
        Ok(Some(started)) => return Ok(started),
        Ok(None) => (Way::Breakaway, CREATE_BREAKAWAY_FROM_JOB),
        Err(error) if is_denied(&error) => {
            // A job may let its processes' children go only as long as they do not ask.
            if let Some(started) = daemon.start(Way::Breakaway, 0, Allowed::None)? {
                return Ok(started);
            }
            (Way::Inside, 0)
        }
        Err(error) => return Err(error),
    };
    // Half of the time, so that it can still be heard that it is ready.
    let now = Instant::now();
    let no_wmi = match outside::start(&daemon, now + deadline.saturating_duration_since(now) / 2) {
        Ok(started) => return Ok(started),
        Err(error) => error,
    };
    daemon.start(rest, leaving, Allowed::Harmless)?.ok_or_else(|| {
        let sentence = format!(
            "the daemon would end with the program that starts it: that program's job ends everything in it and does not \
             let the daemon go, and Windows' management service (WMI) did not start it outside: {no_wmi}. Start it from \
             elsewhere, for example `exai start` in the Run dialog (Windows+R)"
        );
        io::Error::new(io::ErrorKind::PermissionDenied, sentence)
    })
}

pub(super) fn is_denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed())
}

/// What is to be started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Daemon {
    pub(super) exe: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    log: PathBuf,
}

/// In what job a daemon may find itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    None,
    /// One that does not end its processes when it is closed. Where a machine knows connected standby, Windows itself puts
    /// nearly everybody into one (<https://github.com/openai/codex/issues/44503>).
    Harmless,
}

impl Daemon {
    /// `None` when it would be in a job that is not allowed: then nothing has run.
    fn start(&self, way: Way, flags: u32, allowed: Allowed) -> io::Result<Option<Started>> {
        let (reader, writer) = io::pipe()?;
        let Some(born) = self.born(way, flags, allowed, writer.as_handle())? else { return Ok(None) };
        drop(writer);
        let pid = born.pid;
        born.run()?;
        Ok(Some(Started { pid, ready: ReadyPipe(Pipe::new(reader)?) }))
    }

    /// The same, not yet running, with this end of the readiness pipe. It inherits nothing else: a daemon that holds
    /// its starter's stdout keeps the starter's client waiting for ever.
    pub(super) fn born(
        &self,
        way: Way,
        flags: u32,
        allowed: Allowed,
        ready: BorrowedHandle<'_>,
    ) -> io::Result<Option<Born>> {
        let mut args = self.args.clone();
        args.extend([WAY_ARGUMENT, way.as_str(), READY_ARGUMENT].map(OsString::from));
        args.push(ready.as_raw_handle().addr().to_string().into());
        let born = self.suspended(&args, flags, Some(ready))?;
        let may = match allowed {
            Allowed::None => !job::is_in_one(born.process.as_handle())?,
            Allowed::Harmless => {
                !job::is_in_one(born.process.as_handle())? || self.would_be_in_a_harmless_job(flags)?
            }
        };
        Ok(may.then_some(born))
    }

    fn suspended(&self, args: &[OsString], flags: u32, also: Option<BorrowedHandle<'_>>) -> io::Result<Born> {
        let nothing = OpenOptions::new().read(true).open("NUL")?;
        let log = crate::private::open_append(&self.log)?;
        spawn::start(&Program {
            file: &self.exe,
            args,
            env: &self.env,
            cwd: &self.cwd,
            stdio: [nothing.as_handle(), log.as_handle(), log.as_handle()],
            also,
            job: None,
            flags: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | flags,
        })
    }

    /// Asks one that is started in the same way: only who is in a job is told what it does.
    fn would_be_in_a_harmless_job(&self, flags: u32) -> io::Result<bool> {
        let process = self.suspended(&[OUTSIDE_COMMAND.into()], flags, None)?.run()?;
        let ended = wait_any(&[process.as_handle()], Some(Instant::now() + PROBE))?.is_some();
        spawn::end(&process);
        Ok(ended && spawn::exit_code(&process)? == 0)
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

/// Who has the older file open keeps it: what is told there is read there.
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn follow(_before: &File, _next: &File) -> io::Result<()> {
    Ok(())
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
