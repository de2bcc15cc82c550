//! Starting the daemon outside of this process's job: a service that is not in the job starts this program, which
//! connects to a pipe of ours, reads what to start, starts it, and hands the pipe on to the daemon, which reports on
//! it that it is ready.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, FromRawHandle as _};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use windows_sys::Win32::Foundation::{ERROR_BROKEN_PIPE, ERROR_PIPE_CONNECTED, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_ACCESS_DUPLEX, SECURITY_IDENTIFICATION,
};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
    PIPE_WAIT,
};
use windows_sys::Win32::System::Threading::{CREATE_BREAKAWAY_FROM_JOB, PROCESS_SYNCHRONIZE};

use super::handle::{check, wide};
use super::process::has_ended;
use super::readiness_pipe::ReadinessPipe;
use super::security::OwnerOnly;
use super::suspended_daemon::{Allowed, is_denied};
use super::{command_line, local, wmi};
use crate::daemon_command::DaemonCommand;
use crate::detach::{DetachMethod, OUTSIDE_COMMAND, ReadyPipe, Started};

/// How long a helper that has ended may have left words unread.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(200);
/// How often it is looked whether the helper still runs.
const HELPER_INTERVAL: Duration = Duration::from_millis(50);
/// A description of a daemon. Its environment is the account's, without what the client has.
const MAX_ORDER_BYTES: u64 = 4 * 1024 * 1024;

/// What the helper, which is told the daemon in one line of JSON, says before the daemon has the word: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Started(u32),
    Refused(String),
}

/// Starts it by WMI, until `deadline`.
pub(super) fn start(daemon: &DaemonCommand, deadline: Instant) -> io::Result<Started> {
    let mut order = serde_json::to_vec(daemon)?;
    order.push(b'\n');
    let (name, served) = serve()?;
    let mut pipe = ReadinessPipe::new(Helper { pipe: served, order: Some(order) })?;
    let helper = wmi::start(line(daemon, &name)?, &daemon.cwd, deadline);
    let answer = helper.and_then(|pid| first_line(&mut pipe, pid, deadline));
    if answer.is_err() {
        // Ends the wait for the helper, which may have connected meanwhile.
        let _ = OpenOptions::new().read(true).security_qos_flags(SECURITY_IDENTIFICATION).open(&name);
    }
    match serde_json::from_slice(&answer?)? {
        Answer::Started(pid) => Ok(Started { pid, ready: ReadyPipe(pipe) }),
        Answer::Refused(sentence) => Err(io::Error::other(sentence)),
    }
}

/// The command line of the helper.
fn line(daemon: &DaemonCommand, pipe: &str) -> io::Result<String> {
    let words = [OUTSIDE_COMMAND, pipe].map(OsString::from);
    let (_, line) = command_line::of_program(&daemon.exe, &words)?;
    let line = String::from_utf16(line.strip_suffix(&[0]).unwrap_or(&line));
    line.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the path of this program is no text"))
}

/// A pipe with a name that cannot be guessed, which only this account can open, and only once.
fn serve() -> io::Result<(String, File)> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!("{}outside-{:032x}", local::PREFIX, u128::from_ne_bytes(nonce));
    let (text, security) = (wide(&name)?, OwnerOnly::new("GA", "")?);
    // SAFETY: the name ends with a zero, and the attributes are valid; both live as long as the call.
    let raw = unsafe {
        CreateNamedPipeW(
            text.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            1,
            4096,
            4096,
            0,
            security.as_ptr(),
        )
    };
    if raw == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the new handle is ours.
    Ok((name, unsafe { File::from_raw_handle(raw) }))
}

/// The end of the pipe that a helper comes to.
struct Helper {
    pipe: File,
    /// What it is to be told, until it was.
    order: Option<Vec<u8>>,
}

impl Read for Helper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(order) = self.order.take() {
            // SAFETY: an open pipe that does not overlap.
            match check(unsafe { ConnectNamedPipe(self.pipe.as_raw_handle(), std::ptr::null_mut()) }) {
                Err(error) if error.raw_os_error() != Some(ERROR_PIPE_CONNECTED.cast_signed()) => {
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
            if !local::client(self.pipe.as_raw_handle())?.same_user {
                return Err(stranger());
            }
            self.pipe.write_all(&order)?;
        }
        match self.pipe.read(buffer) {
            Err(error) if error.raw_os_error() == Some(ERROR_BROKEN_PIPE.cast_signed()) => Ok(0),
            result => result,
        }
    }
}

fn stranger() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the other end of the pipe is another account's")
}

/// What the helper with this pid says, and not what the daemon says behind it.
fn first_line(pipe: &mut ReadinessPipe, helper: u32, mut deadline: Instant) -> io::Result<Vec<u8>> {
    let helper = super::handle::open_process(helper, PROCESS_SYNCHRONIZE).ok().flatten();
    let has_ended = || helper.as_ref().is_none_or(|helper| has_ended(helper).unwrap_or(false));
    let (mut line, mut ended) = (Vec::new(), false);
    loop {
        let mut byte = [0];
        match pipe.read_until(&mut byte, deadline.min(Instant::now() + HELPER_INTERVAL)) {
            Ok(0) => return Err(io::Error::other("what it started ended without a word")),
            Ok(_) if byte == *b"\n" => return Ok(line),
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() != io::ErrorKind::TimedOut => return Err(error),
            Err(_) if Instant::now() >= deadline => {
                return Err(io::Error::other("what it started did not come"));
            }
            Err(_) if !ended && has_ended() => {
                ended = true;
                deadline = deadline.min(Instant::now() + LAST_WORDS_TIMEOUT);
            }
            Err(_) => {}
        }
    }
}

/// In the helper. What WMI starts is limited by the quotas of its own job unless it leaves that.
pub(crate) fn outside(name: &str) -> io::Result<()> {
    let name = local::parse(name).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no pipe of exai on this machine"))
    })?;
    let pipe =
        OpenOptions::new().read(true).write(true).security_qos_flags(SECURITY_IDENTIFICATION).open(name)?;
    // What it says is going to be executed.
    if !local::server(pipe.as_handle())?.same_user {
        return Err(stranger());
    }
    let mut order = Vec::new();
    BufReader::new((&pipe).take(MAX_ORDER_BYTES)).read_until(b'\n', &mut order)?;
    let daemon: DaemonCommand = serde_json::from_slice(&order)?;
    let say = |answer: &Answer| {
        let mut text = serde_json::to_vec(answer)?;
        text.push(b'\n');
        (&pipe).write_all(&text)
    };
    let born = |flags| daemon.born(DetachMethod::Wmi, flags, Allowed::Harmless, pipe.as_handle());
    let born = match born(CREATE_BREAKAWAY_FROM_JOB) {
        Err(error) if is_denied(&error) => born(0),
        born => born,
    };
    match born {
        Ok(Some(born)) => {
            // Before it runs, and has words of its own.
            say(&Answer::Started(born.pid))?;
            born.run().map(drop)
        }
        Ok(None) => say(&Answer::Refused("what it starts is in a job that would end it as well".to_owned())),
        Err(error) => say(&Answer::Refused(error.to_string())),
    }
}
