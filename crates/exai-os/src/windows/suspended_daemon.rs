//! Starts a daemon suspended, looks in which job Windows has put it, and lets it run if it may stay there.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS};

use super::handle::wait_any;
use super::job;
use super::readiness_pipe::ReadinessPipe;
use super::spawn::{self, Born, Program};
use crate::daemon_command::DaemonCommand;
use crate::detach::{DetachMethod, OUTSIDE_COMMAND, READY_ARGUMENT, ReadyPipe, Started, WAY_ARGUMENT};

/// How long one that only looks at its job may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn is_denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed())
}

/// In what job a daemon may find itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    None,
    /// One that does not end its processes when it is closed. Where a machine knows connected standby, Windows itself
    /// puts nearly all processes into one (<https://github.com/openai/codex/issues/44503>).
    Harmless,
}

impl DaemonCommand {
    /// `None` when it would be in a job that is not allowed: then nothing has run.
    pub(super) fn start(
        &self,
        way: DetachMethod,
        flags: u32,
        allowed: Allowed,
    ) -> io::Result<Option<Started>> {
        let (reader, writer) = io::pipe()?;
        let Some(born) = self.born(way, flags, allowed, writer.as_handle())? else { return Ok(None) };
        drop(writer);
        let pid = born.pid;
        born.run()?;
        Ok(Some(Started { pid, ready: ReadyPipe(ReadinessPipe::new(reader)?) }))
    }

    /// The same, not yet running, with this end of the readiness pipe. It inherits nothing else: a daemon that holds
    /// its starter's stdout keeps the starter's client waiting for ever.
    pub(super) fn born(
        &self,
        way: DetachMethod,
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

    /// Starts a probe in the same way and asks it: only a process in a job can find out what the job does.
    fn would_be_in_a_harmless_job(&self, flags: u32) -> io::Result<bool> {
        let process = self.suspended(&[OUTSIDE_COMMAND.into()], flags, None)?.run()?;
        let ended = wait_any(&[process.as_handle()], Some(Instant::now() + PROBE_TIMEOUT))?.is_some();
        spawn::end(&process);
        Ok(ended && spawn::exit_code(&process)? == 0)
    }
}
