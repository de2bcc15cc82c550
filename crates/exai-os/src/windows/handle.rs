//! Strings, handles and waiting, in the words of the system.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::path::{Component, Path, Prefix};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, HANDLE, NTSTATUS, RtlNtStatusToDosError, WAIT_FAILED, WAIT_OBJECT_0,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, OpenProcess, WaitForMultipleObjects};
use windows_sys::core::BOOL;

/// The text with a final zero. A zero within would end it early and name something else.
pub(super) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the text holds a zero character"));
    }
    units.push(0);
    Ok(units)
}

/// A path for functions that take no more than 260 characters unless they are told to.
pub(super) fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    /// What a directory's path may have, which must leave room for a name in it.
    const MAX_PLAIN_UNITS: usize = 248;
    let path = std::path::absolute(path)?;
    let is_drive = matches!(path.components().next(), Some(Component::Prefix(of)) if matches!(of.kind(), Prefix::Disk(_)));
    if path.as_os_str().len() < MAX_PLAIN_UNITS || !is_drive {
        return wide(path);
    }
    let mut verbatim = OsString::from(r"\\?\");
    verbatim.push(path);
    wide(verbatim)
}

/// The units before the final zero.
///
/// # Safety
/// `text` points to a text that ends with a zero and lives, unchanged, as long as the result is used.
pub(super) unsafe fn until_zero<'a>(text: *const u16) -> &'a [u16] {
    let mut length = 0;
    // SAFETY: everything up to the zero may be read, and each unit is looked at before going on.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: that many units come before the zero.
    unsafe { std::slice::from_raw_parts(text, length) }
}

/// The result of a function that says FALSE when it failed.
pub(super) fn check(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The result of a function of the system's core, which is negative when it failed.
pub(super) fn check_status(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: takes a number and gives one.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

/// Takes over a handle that a function returned, or that function's error.
///
/// # Safety
/// `raw` is null or a handle that no other code closes.
pub(super) unsafe fn own(raw: HANDLE) -> io::Result<OwnedHandle> {
    if raw.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: by this function's contract.
    Ok(unsafe { OwnedHandle::from_raw_handle(raw) })
}

/// Opens a process for `access`. `None` when there is no such process.
pub(super) fn open_process(pid: u32, access: u32) -> io::Result<Option<OwnedHandle>> {
    // Pids are multiples of four; the system takes the next lower one for any other number.
    if pid == 0 || !pid.is_multiple_of(4) {
        return Ok(None);
    }
    // SAFETY: takes numbers; the new handle is ours.
    match unsafe { own(OpenProcess(access, 0, pid)) } {
        Ok(process) => Ok(Some(process)),
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An event that stays set once it is set.
pub(super) fn event() -> io::Result<OwnedHandle> {
    // SAFETY: no attributes and no name; the new handle is ours.
    unsafe { own(CreateEventW(std::ptr::null(), 1, 0, std::ptr::null())) }
}

/// Waits until one of the handles is signalled, and says which; `None` at the deadline.
pub(super) fn wait_any(
    handles: &[BorrowedHandle<'_>],
    deadline: Option<Instant>,
) -> io::Result<Option<usize>> {
    let raw: Vec<HANDLE> = handles.iter().map(AsRawHandle::as_raw_handle).collect();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // SAFETY: the array holds that many open handles.
        let result = unsafe {
            WaitForMultipleObjects(raw.len() as u32, raw.as_ptr(), 0, left.map_or(INFINITE, millis))
        };
        match result {
            WAIT_TIMEOUT if left.is_some_and(|left| left.is_zero()) => return Ok(None),
            WAIT_TIMEOUT => {}
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            index => return Ok(Some((index - WAIT_OBJECT_0) as usize)),
        }
    }
}

/// Whole milliseconds, rounded up, and less than "for ever".
pub(super) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u32::MAX).min(INFINITE - 1)
}
