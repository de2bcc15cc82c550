use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_INVALID_HANDLE, GetLastError,
};
use windows_sys::Win32::Security::Authorization::SE_KERNEL_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_SHARE_READ, FILE_SHARE_WRITE, GetFileInformationByHandle, READ_CONTROL,
};
use windows_sys::Win32::System::Threading::{CreateMutexW, OpenMutexW};

use super::handle::{check, own, wide};
use super::private::open_regular;
use super::security::{OwnerOnly, User, is_ours};
use crate::lock::{Claim, NameClaim};

/// No process may delete or rename a lock file while it is open.
const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE;

pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    open_regular(
        path,
        OpenOptions::new().read(true).write(true).create(true).truncate(false).share_mode(SHARE),
    )
}

pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().read(true).share_mode(SHARE))
}

pub(crate) fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    match open_existing(path) {
        Ok(named) => Ok(index(file)? == index(&named)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn index(file: &File) -> io::Result<(u32, u32, u32)> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: an open handle and a place for the answer.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) })?;
    Ok((information.dwVolumeSerialNumber, information.nFileIndexHigh, information.nFileIndexLow))
}

/// Windows lists no locks.
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn holder(_path: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}

pub(crate) type Claimed = OwnedHandle;

/// Another account would have to occupy all of these to take the second authority from us; the first,
/// the lock, remains.
const MAX_NAMES: u32 = 8;

fn name_of(home: &Path) -> io::Result<String> {
    let sid = User::current()?.text()?;
    Ok(format!("Global\\exai-{sid}-{}", crate::hash::of_path(home)))
}

pub(crate) fn is_claimed(home: &Path) -> io::Result<bool> {
    // A directory with an open lock file cannot be removed, so no process claims a directory that is not there.
    let home = match home.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        home => home?,
    };
    let name = name_of(&home)?;
    for suffix in 0..MAX_NAMES {
        let name = wide(if suffix == 0 { name.clone() } else { format!("{name}-{suffix}") })?;
        // SAFETY: the name ends with a zero and outlives the call.
        let raw = unsafe { OpenMutexW(READ_CONTROL, 0, name.as_ptr()) };
        if raw.is_null() {
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                error if error.kind() == io::ErrorKind::PermissionDenied => continue, // another account's
                // Something else of this name.
                error if error.raw_os_error() == Some(ERROR_INVALID_HANDLE.cast_signed()) => continue,
                error => return Err(error),
            }
        }
        // SAFETY: the new handle is ours.
        let mutex = unsafe { own(raw) }?;
        if is_ours(mutex.as_handle(), SE_KERNEL_OBJECT)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A mutex has no queue of questions.
pub(crate) fn forget_questions(_claimed: &Claimed) {}

pub(crate) fn claim_name(home: &Path) -> io::Result<Claim> {
    let name = name_of(&home.canonicalize()?)?;
    let security = OwnerOnly::new("GA", "")?;
    for suffix in 0..MAX_NAMES {
        let name = wide(if suffix == 0 { name.clone() } else { format!("{name}-{suffix}") })?;
        // SAFETY: the attributes live as long as the call, the name ends with a zero. The error code is
        // read at once, since success sets it as well.
        let (raw, code) = unsafe { (CreateMutexW(security.as_ptr(), 0, name.as_ptr()), GetLastError()) };
        if raw.is_null() {
            match code {
                // Another account's, or something else of this name.
                ERROR_ACCESS_DENIED | ERROR_INVALID_HANDLE => continue,
                code => return Err(io::Error::from_raw_os_error(code.cast_signed())),
            }
        }
        // SAFETY: the new handle is ours.
        let mutex = unsafe { own(raw) }?;
        if code != ERROR_ALREADY_EXISTS {
            return Ok(Claim::Ours(NameClaim(mutex)));
        }
        if is_ours(mutex.as_handle(), SE_KERNEL_OBJECT)? {
            return Ok(Claim::TakenByThisUser);
        }
    }
    Ok(Claim::Unsupported)
}
