use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, OwnedHandle};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, ERROR_NO_MORE_FILES, FILETIME, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    GetErrorMode, SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, GetCurrentThread, GetProcessTimes, GetThreadTimes,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, QueryFullProcessImageNameW,
    TerminateProcess,
};

use super::account::until_zero;
use super::handle::{check, open_process, own, wait_any};
use crate::process::{Identity, Kill, Killed, ProcessInfo};

/// Start times are absolute here, so boots need no name.
const BOOT: &str = "-";

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

/// A process that has ended stays in the table as long as a handle to it is open.
pub(super) fn has_ended(process: &OwnedHandle) -> io::Result<bool> {
    Ok(wait_any(&[process.as_handle()], Some(Instant::now()))?.is_some())
}

fn start_time(process: &OwnedHandle) -> io::Result<u64> {
    let mut times = [FILETIME::default(); 4];
    let [start, end, kernel, user] = &mut times;
    // SAFETY: an open handle with the right to query, and four places for times.
    check(unsafe { GetProcessTimes(process.as_raw_handle(), start, end, kernel, user) })?;
    Ok(u64::from(start.dwHighDateTime) << 32 | u64::from(start.dwLowDateTime))
}

pub(crate) fn name_this() {}

pub(crate) fn fail_without_windows() {
    // SAFETY: takes numbers and gives some.
    unsafe {
        let more = SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX;
        SetErrorMode(GetErrorMode() | more);
    }
}

pub(crate) fn thread_time() -> Duration {
    let mut times = [FILETIME::default(); 4];
    let [start, end, kernel, user] = &mut times;
    // SAFETY: the handle of the current thread is always valid, and there are four places for times.
    if unsafe { GetThreadTimes(GetCurrentThread(), start, end, kernel, user) } == 0 {
        return Duration::ZERO;
    }
    let steps = |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_nanos(100 * (steps(&times[2]) + steps(&times[3])))
}

pub(crate) fn identify(pid: u32) -> io::Result<Option<Identity>> {
    match open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE)? {
        Some(process) => identity_of(&process, pid),
        None => Ok(None),
    }
}

fn identity_of(process: &OwnedHandle, pid: u32) -> io::Result<Option<Identity>> {
    if has_ended(process)? {
        return Ok(None);
    }
    identity_even_dead(process, pid).map(Some)
}

/// The same, whether it runs or not: while its handle is open no other process has its number.
pub(super) fn identity_even_dead(process: &OwnedHandle, pid: u32) -> io::Result<Identity> {
    Ok(Identity { boot: BOOT.to_owned(), pid, start: start_time(process)? })
}

/// Looks single processes up, in a snapshot: Windows knows parents in no other way.
pub(crate) fn looker() -> io::Result<impl Fn(u32) -> Option<ProcessInfo>> {
    let all = snapshot()?;
    Ok(move |pid| all.iter().find(|process| process.pid == pid).cloned())
}

pub(crate) fn snapshot() -> io::Result<Vec<ProcessInfo>> {
    // SAFETY: takes numbers.
    let raw = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if raw == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the new handle is ours.
    let table = unsafe { own(raw) }?;
    let size = size_of::<PROCESSENTRY32W>() as u32;
    let mut row = PROCESSENTRY32W { dwSize: size, ..PROCESSENTRY32W::default() };
    let mut all = Vec::new();
    // SAFETY: an open snapshot and a row that knows its size.
    let mut found = check(unsafe { Process32FirstW(table.as_raw_handle(), &raw mut row) });
    while found.is_ok() {
        all.extend(info(&row));
        // SAFETY: as above.
        found = check(unsafe { Process32NextW(table.as_raw_handle(), &raw mut row) });
    }
    match found {
        Err(error) if !is(&error, ERROR_NO_MORE_FILES) => Err(error),
        Ok(()) | Err(_) => Ok(all),
    }
}

fn info(row: &PROCESSENTRY32W) -> Option<ProcessInfo> {
    if row.th32ProcessID == 0 {
        return None; // the idle loop
    }
    // The system's own processes cannot be opened; they are listed without their details.
    let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
    let process = open_process(row.th32ProcessID, access).ok().flatten();
    Some(ProcessInfo {
        pid: row.th32ProcessID,
        ppid: row.th32ParentProcessID,
        pgid: 0,
        name: until_zero(&row.szExeFile).to_string_lossy().into_owned(),
        start: process.as_ref().and_then(|process| start_time(process).ok()).unwrap_or(0),
        rss_bytes: process.as_ref().map_or(0, working_set),
        zombie: process.as_ref().is_some_and(|process| has_ended(process).unwrap_or(false)),
    })
}

fn working_set(process: &OwnedHandle) -> u64 {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..PROCESS_MEMORY_COUNTERS::default() };
    // SAFETY: an open handle, and a structure of the size given.
    let known = unsafe { K32GetProcessMemoryInfo(process.as_raw_handle(), &raw mut counters, size) };
    if known == 0 { 0 } else { counters.WorkingSetSize as u64 }
}

pub(crate) fn command_line(pid: u32) -> io::Result<Vec<String>> {
    let process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?.ok_or(io::ErrorKind::NotFound)?;
    let text = match super::command_line::of(&process) {
        // Windows before 8.1, and Wine.
        Err(error) if is(&error, ERROR_INVALID_PARAMETER) => super::memory::command_line(pid)?,
        text => text?,
    };
    super::command_line::split(&text)
}

pub(crate) fn executable(pid: u32) -> io::Result<PathBuf> {
    let process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?.ok_or(io::ErrorKind::NotFound)?;
    let mut buffer = vec![0_u16; 32_768];
    let mut length = buffer.len() as u32;
    // SAFETY: the buffer has the length given.
    check(unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), 0, buffer.as_mut_ptr(), &raw mut length)
    })?;
    Ok(OsString::from_wide(&buffer[..length as usize]).into())
}

pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    spawn_with(command.stdin(Stdio::null()), 0)?.wait_with_output()
}

pub(crate) fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    match spawn_with(command, CREATE_BREAKAWAY_FROM_JOB) {
        // This process is in a job that lets nothing go.
        Err(error) if is(&error, ERROR_ACCESS_DENIED) => spawn_with(command, 0),
        result => result,
    }
}

fn spawn_with(command: &mut Command, flags: u32) -> io::Result<Child> {
    super::spawn::hidden(command.stdout(Stdio::piped()).stderr(Stdio::piped()), flags)
}

/// There is no request to end that every process understands: both ways end it.
pub(crate) fn kill_verified(identity: &Identity, how: Kill) -> io::Result<Killed> {
    let (Kill::Terminate | Kill::Force) = how;
    let access = PROCESS_TERMINATE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
    let Some(process) = open_process(identity.pid, access)? else { return Ok(Killed::AlreadyGone) };
    match identity_of(&process, identity.pid)? {
        None => return Ok(Killed::AlreadyGone),
        Some(found) if found != *identity => return Ok(Killed::NotTheSame),
        Some(_) => {}
    }
    // SAFETY: an open handle with the right to end its process.
    match check(unsafe { TerminateProcess(process.as_raw_handle(), 1) }) {
        Ok(()) => Ok(Killed::Signalled),
        // A process that is ending refuses in this way.
        Err(error) if is(&error, ERROR_ACCESS_DENIED) && has_ended(&process)? => Ok(Killed::AlreadyGone),
        Err(error) => Err(error),
    }
}

pub(crate) fn wait_gone(identity: &Identity, deadline: Instant) -> io::Result<bool> {
    let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
    let Some(process) = open_process(identity.pid, access)? else { return Ok(true) };
    if identity_of(&process, identity.pid)?.as_ref() != Some(identity) {
        return Ok(true);
    }
    Ok(wait_any(&[process.as_handle()], Some(deadline))?.is_some())
}
