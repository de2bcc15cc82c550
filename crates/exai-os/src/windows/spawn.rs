//! Starting a program by hand: the standard library lets a child inherit every inheritable handle, puts it into a
//! job only when it runs already, and does not hand out the thread of one that was started suspended.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::os::windows::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, GetExitCodeProcess,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_INFORMATION, ResumeThread, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    STARTUPINFOW, TerminateProcess, UpdateProcThreadAttribute,
};

use super::command_line;
use super::handle::{check, own, wide};

/// What to start, and with what.
pub(super) struct Program<'a> {
    /// Its file, or a batch file.
    pub(super) file: &'a Path,
    pub(super) args: &'a [OsString],
    /// Its whole environment.
    pub(super) env: &'a [(OsString, OsString)],
    pub(super) cwd: &'a Path,
    /// Its standard input, output and error.
    pub(super) stdio: [BorrowedHandle<'a>; 3],
    /// What else it inherits. Nothing more.
    pub(super) also: Option<BorrowedHandle<'a>>,
    /// The job that it is born in.
    pub(super) job: Option<BorrowedHandle<'a>>,
    pub(super) flags: u32,
}

/// A process that waits for its first instruction, and ends if it is not let to run.
pub(super) struct Born {
    pub(super) process: OwnedHandle,
    /// Its first thread.
    thread: OwnedHandle,
    pub(super) pid: u32,
    runs: bool,
}

/// Held while a program is started, so that no program inherits a handle that is meant for another: the flag is the
/// handle's, and the standard library's children inherit every handle that has it.
static STARTING: Mutex<()> = Mutex::new(());

/// These handles can be inherited as long as this value lives, and no other thread starts a program meanwhile.
struct Inheriting<'a> {
    handles: &'a [HANDLE],
    _starting: MutexGuard<'static, ()>,
}

impl<'a> Inheriting<'a> {
    /// The handles stay open meanwhile.
    fn begin(handles: &'a [HANDLE]) -> io::Result<Self> {
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let inheriting = Inheriting { handles, _starting: starting };
        for handle in handles {
            // SAFETY: an open handle.
            check(unsafe { SetHandleInformation(*handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
        }
        Ok(inheriting)
    }
}

impl Drop for Inheriting<'_> {
    fn drop(&mut self) {
        for handle in self.handles {
            // SAFETY: an open handle. What cannot be undone goes with the handle, which is closed soon.
            unsafe { SetHandleInformation(*handle, HANDLE_FLAG_INHERIT, 0) };
        }
    }
}

/// Starts a program of the console without a window, and with none of the handles that [`start`] hands to another.
pub(super) fn hidden(command: &mut Command, flags: u32) -> io::Result<Child> {
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    command.creation_flags(CREATE_NO_WINDOW | flags).spawn()
}

impl Born {
    /// Lets it run.
    pub(super) fn run(mut self) -> io::Result<OwnedHandle> {
        // SAFETY: the handle of its first thread, which waits for this.
        if unsafe { ResumeThread(self.thread.as_raw_handle()) } == u32::MAX {
            return Err(io::Error::last_os_error());
        }
        let process = self.process.try_clone()?;
        self.runs = true;
        Ok(process)
    }
}

impl Drop for Born {
    /// One that waits for its first instruction would wait for ever.
    fn drop(&mut self) {
        if !self.runs {
            end(&self.process);
        }
    }
}

/// The code of a process that has ended.
pub(super) fn exit_code(process: &OwnedHandle) -> io::Result<u32> {
    let mut code = 0;
    // SAFETY: the handle of a process that this one has started has all rights, and there is a place for the code.
    check(unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) })?;
    Ok(code)
}

/// Ends a process that was started here. One that has ended is not ended again.
pub(super) fn end(process: &OwnedHandle) {
    // SAFETY: the handle of a process that this one has started has all rights.
    unsafe { TerminateProcess(process.as_raw_handle(), 1) };
}

/// The longest directory that a program can be started in, whatever this program's manifest says
/// (<https://github.com/libuv/libuv/issues/4685>).
const MAX_DIRECTORY_UNITS: usize = 258;

pub(super) fn may_be_started_in(directory: &Path) -> bool {
    directory.as_os_str().encode_wide().count() <= MAX_DIRECTORY_UNITS
}

/// Starts it, suspended.
pub(super) fn start(program: &Program<'_>) -> io::Result<Born> {
    if !may_be_started_in(program.cwd) {
        let sentence = format!(
            "Windows starts no program in a directory whose path is longer than {MAX_DIRECTORY_UNITS} characters: {}",
            program.cwd.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, sentence));
    }
    let (file, mut line) = command_line::of_program(program.file, program.args)?;
    let (file, directory) = (wide(file)?, wide(program.cwd)?);
    let environment = command_line::environment(program.env)?;
    let stdio = program.stdio.map(|handle| handle.as_raw_handle());
    let mut inherited: Vec<HANDLE> =
        stdio.into_iter().chain(program.also.map(|handle| handle.as_raw_handle())).collect();
    // The system refuses a list that names one twice.
    inherited.sort_unstable();
    inherited.dedup();
    let inheriting = Inheriting::begin(&inherited)?;
    let jobs = program.job.map(|job| [job.as_raw_handle()]);
    let mut attributes = Attributes::new(2)?;
    attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &inherited)?;
    if let Some(jobs) = &jobs {
        attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, jobs)?;
    }
    let startup = STARTUPINFOEXW {
        StartupInfo: STARTUPINFOW {
            cb: size_of::<STARTUPINFOEXW>() as u32,
            dwFlags: STARTF_USESTDHANDLES,
            hStdInput: stdio[0],
            hStdOutput: stdio[1],
            hStdError: stdio[2],
            ..STARTUPINFOW::default()
        },
        lpAttributeList: attributes.list(),
    };
    let flags = program.flags | CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    let mut process = PROCESS_INFORMATION::default();
    // SAFETY: all texts end with a zero and live as long as the call, as do the startup information, the attribute
    // list in it and what that points to; the command line is writable, as the call demands.
    let result = check(unsafe {
        CreateProcessW(
            file.as_ptr(),
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
    drop(inheriting);
    result?;
    // SAFETY: both new handles are ours.
    let (thread, process_handle) = unsafe { (own(process.hThread)?, own(process.hProcess)?) };
    Ok(Born { process: process_handle, thread, pid: process.dwProcessId, runs: false })
}

/// Memory for attributes of a new process; `usize` for its alignment.
struct Attributes(Vec<usize>);

impl Attributes {
    fn new(count: u32) -> io::Result<Attributes> {
        let mut size = 0;
        // SAFETY: asks for the size alone.
        unsafe { InitializeProcThreadAttributeList(std::ptr::null_mut(), count, 0, &raw mut size) };
        let mut memory = vec![0_usize; size.div_ceil(size_of::<usize>())];
        // SAFETY: the memory has the size that was asked for.
        check(unsafe {
            InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), count, 0, &raw mut size)
        })?;
        Ok(Attributes(memory))
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.0.as_mut_ptr().cast()
    }

    /// The list keeps the pointer: `handles` must live as long as it is used.
    fn set(&mut self, attribute: u32, handles: &[HANDLE]) -> io::Result<()> {
        // SAFETY: an initialised list with room for it, and an array of the size given.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.list(),
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                size_of_val(handles),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and ended once.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
}
