use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle, RawHandle};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_UNICODE_ENVIRONMENT, CreateProcessW,
    DETACHED_PROCESS, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW, STARTUPINFOW, UpdateProcThreadAttribute,
};

use super::command_line;
use super::handle::{check, own, wide};
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

/// By hand, because the standard library lets a child inherit every inheritable handle: a daemon that
/// holds its starter's stdout keeps the starter's client waiting for ever.
pub(crate) fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
) -> io::Result<Started> {
    let (reader, writer) = io::pipe()?;
    let inherited = [
        OwnedHandle::from(OpenOptions::new().read(true).open("NUL")?),
        OwnedHandle::from(crate::private::open_append(log)?),
        OwnedHandle::from(writer),
    ];
    for handle in &inherited {
        // SAFETY: an open handle of ours, that is closed when this function returns.
        check(unsafe {
            SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)
        })?;
    }
    let mut handles = [0, 1, 2].map(|at: usize| inherited[at].as_raw_handle());
    let mut args = args.to_vec();
    args.push(READY_ARGUMENT.into());
    args.push(handles[2].addr().to_string().into());
    let pid = create(exe, &args, env, cwd, &mut handles)?;
    drop(inherited);
    Ok(Started { pid, ready: ReadyPipe(Pipe::new(reader)?) })
}

/// Starts the process with these three handles and no others: stdin, stdout and stderr, the pipe.
fn create(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    handles: &mut [HANDLE; 3],
) -> io::Result<u32> {
    let program = wide(exe)?;
    let mut line = command_line::join(exe.as_os_str(), args)?;
    let environment = command_line::environment(env)?;
    let directory = wide(cwd)?;
    let mut attributes = AttributeList::new()?;
    attributes.inherit_only(handles)?;
    let startup = STARTUPINFOEXW {
        StartupInfo: STARTUPINFOW {
            cb: size_of::<STARTUPINFOEXW>() as u32,
            dwFlags: STARTF_USESTDHANDLES,
            hStdInput: handles[0],
            hStdOutput: handles[1],
            hStdError: handles[1],
            ..STARTUPINFOW::default()
        },
        lpAttributeList: attributes.list(),
    };
    let flags = DETACHED_PROCESS
        | CREATE_NEW_PROCESS_GROUP
        | CREATE_BREAKAWAY_FROM_JOB
        | CREATE_UNICODE_ENVIRONMENT
        | EXTENDED_STARTUPINFO_PRESENT;
    let mut process = PROCESS_INFORMATION::default();
    // SAFETY: all texts end with a zero and live as long as the call, as do the startup information and
    // the attribute list in it; the command line is writable, as the call demands.
    let result = check(unsafe {
        CreateProcessW(
            program.as_ptr(),
            line.as_mut_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            1,
            flags,
            environment.as_ptr().cast(),
            directory.as_ptr(),
            (&raw const startup).cast(),
            &raw mut process,
        )
    });
    result.map_err(explain)?;
    // SAFETY: both new handles are ours; closing them leaves the process alone.
    drop(unsafe { (own(process.hThread)?, own(process.hProcess)?) });
    Ok(process.dwProcessId)
}

/// Never again without breakaway: a daemon within the starter's job would die with the starter.
fn explain(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) {
        let sentence = "Windows refuses to start the daemon outside of this program's job (access denied)";
        return io::Error::new(io::ErrorKind::PermissionDenied, sentence);
    }
    error
}

/// Memory for one attribute of a new process; `usize` for its alignment.
struct AttributeList(Vec<usize>);

impl AttributeList {
    fn new() -> io::Result<AttributeList> {
        let mut size = 0;
        // SAFETY: asks for the size alone.
        unsafe { InitializeProcThreadAttributeList(std::ptr::null_mut(), 1, 0, &raw mut size) };
        let mut memory = vec![0_usize; size.div_ceil(size_of::<usize>())];
        // SAFETY: the memory has the size that was asked for.
        check(unsafe { InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), 1, 0, &raw mut size) })?;
        Ok(AttributeList(memory))
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.0.as_mut_ptr().cast()
    }

    /// The list keeps the pointer: `handles` must live as long as it is used.
    fn inherit_only(&mut self, handles: &[HANDLE]) -> io::Result<()> {
        // SAFETY: an initialised list with room for one, and an array of the size given.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.list(),
                0,
                PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                handles.as_ptr().cast(),
                size_of_val(handles),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        })
    }
}

impl Drop for AttributeList {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and ended once.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
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
