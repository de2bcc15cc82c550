use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::windows::io::{AsHandle as _, AsRawHandle as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_TYPE_DISK, GetDriveTypeW, GetFileType, GetVolumePathNameW,
    READ_CONTROL, WRITE_DAC,
};
use windows_sys::Win32::System::WindowsProgramming::DRIVE_REMOTE;

use super::handle::{check, wide_path};
use super::security::{Owner, OwnerOnly, is_ours, keep_others_out, lets_others_in, owner};
use crate::private::{DirChecked, DirError};

/// Within a profile a directory that exists lets in the account and the administrators alone; elsewhere it may let in
/// every account that logs in.
pub(crate) fn ensure_dir(path: &Path) -> Result<DirChecked, DirError> {
    let io = |action, source| DirError::Io { action, path: path.to_owned(), source };
    match open_dir(path) {
        Ok(dir) => return check_dir(path, &dir).and_then(|()| tighten_directory(path, &dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("open", error)),
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| io("create the parent of", error))?;
    }
    create(path).map_err(|error| io("create", error))?;
    let dir = open_dir(path).map_err(|error| io("open", error))?;
    check_dir(path, &dir).map(|()| DirChecked::Created)
}

fn create(path: &Path) -> io::Result<()> {
    let security = OwnerOnly::new("FA", "OICI")?;
    let name = wide_path(path)?;
    // SAFETY: the name ends with a zero, and the attributes live as long as the call.
    match check(unsafe { CreateDirectoryW(name.as_ptr(), security.as_ptr()) }) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()), // another process was faster
        result => result,
    }
}

fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

fn check_dir(path: &Path, dir: &File) -> Result<(), DirError> {
    let io = |action, source| DirError::Io { action, path: path.to_owned(), source };
    let metadata = dir.metadata().map_err(|error| io("inspect", error))?;
    if metadata.file_attributes() & FILE_ATTRIBUTE_DIRECTORY == 0 {
        return Err(DirError::NotADirectory { path: path.to_owned() });
    }
    if is_remote(path).map_err(|error| io("inspect the volume of", error))? {
        return Err(DirError::NetworkFilesystem {
            path: path.to_owned(),
            kind: "a network drive".to_owned(),
        });
    }
    if !is_ours(dir.as_handle(), SE_FILE_OBJECT).map_err(|error| io("inspect the owner of", error))? {
        return Err(DirError::Foreign { path: path.to_owned(), owner: "another account".to_owned() });
    }
    Ok(())
}

/// Takes an own directory from the others who may enter it. One of the administrators' that others use is theirs.
fn tighten_directory(path: &Path, dir: &File) -> Result<DirChecked, DirError> {
    let io = |action, source| DirError::Io { action, path: path.to_owned(), source };
    if !lets_others_in(dir.as_handle()).map_err(|error| io("read the access list of", error))? {
        return Ok(DirChecked::AsItShouldBe);
    }
    let again = OpenOptions::new()
        .access_mode(READ_CONTROL | WRITE_DAC)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path);
    let dir = again.map_err(|error| io("tighten", error))?;
    let owner = owner(dir.as_handle(), SE_FILE_OBJECT).map_err(|error| io("inspect the owner of", error))?;
    if owner != Owner::Us || std::path::absolute(path).is_ok_and(|path| path.parent().is_none()) {
        return Err(DirError::Shared { path: path.to_owned() });
    }
    keep_others_out(dir.as_handle()).map_err(|error| io("tighten", error))?;
    Ok(DirChecked::Tightened { was: None })
}

pub(super) fn is_remote(path: &Path) -> io::Result<bool> {
    let name = wide_path(path)?;
    let mut volume = vec![0_u16; name.len().max(260) + 1];
    // SAFETY: the name ends with a zero, and the buffer has the length given.
    check(unsafe { GetVolumePathNameW(name.as_ptr(), volume.as_mut_ptr(), volume.len() as u32) })?;
    // SAFETY: the call above ended the text with a zero.
    Ok(unsafe { GetDriveTypeW(volume.as_ptr()) } == DRIVE_REMOTE)
}

pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().read(true))
}

/// What is asked of a directory without a handle has no number.
pub(crate) fn file_id(_path: &Path) -> Option<String> {
    None
}

pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().append(true).create(true))
}

/// A new file gets the access list of its directory; a program is one by its name.
pub(crate) fn create_new(path: &Path, _executable: bool) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens a file of ours on a disk, and no link. A new file gets the access list of its directory.
pub(super) fn open_regular(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = patiently(OPENED, || how.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path))?;
    // SAFETY: an open handle.
    if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "is no regular file"));
    }
    let attributes = file.metadata()?.file_attributes();
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "is a link"));
    }
    if !is_ours(file.as_handle(), SE_FILE_OBJECT)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "belongs to another account"));
    }
    Ok(file)
}

/// Links are refused here: access lists tell which account may replace a part of the way, and this program does not
/// read those of a whole path. A file gets the list of its directory, which is private.
pub(crate) fn open_trusted(path: &Path) -> io::Result<File> {
    open_to_read(path)
}

pub(crate) fn trusted_place(path: &Path) -> io::Result<PathBuf> {
    std::fs::symlink_metadata(path)?;
    Ok(path.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn tighten(_path: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}

pub(crate) fn exposed(_directory: &Path, _file: &Path) -> Option<u32> {
    None
}

/// When it was created tells a file from one that was put in its place.
pub(crate) type Facts = (Option<SystemTime>, Option<SystemTime>, u64);

pub(crate) fn facts(path: &Path) -> Option<Facts> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.created().ok(), found.modified().ok(), found.len()))
}

pub(crate) fn write_atomic(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| if sync { file.sync_all() } else { Ok(()) });
    drop(file);
    let written = written.and_then(|()| replace(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell; a temporary file that stays is harmless.
        let _ = remove(&temporary);
    }
    written
}

/// A directory in the way is refused like a file that another program has open.
fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return std::fs::rename(temporary, path);
    }
    patiently(MOVED, || std::fs::rename(temporary, path))
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    patiently(MOVED, || std::fs::remove_file(path))
}

/// A virus scanner or an indexer may have the old file open for a moment, or the new one, which it looks at as soon as
/// that is closed. There is nothing to wait on.
fn patiently<T>(in_use: &[u32], mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const MAX_TRIES: u32 = 60;
    const RETRY_INTERVAL: Duration = Duration::from_millis(10);
    for _ in 1..MAX_TRIES {
        match action() {
            Err(error) if error.raw_os_error().is_some_and(|code| in_use.contains(&code.cast_unsigned())) => {
                std::thread::sleep(RETRY_INTERVAL);
            }
            result => return result,
        }
    }
    action()
}

/// The errors of opening a file that another program has open.
const OPENED: &[u32] = &[ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];
/// The same when it is to be moved, removed or replaced.
const MOVED: &[u32] = &[ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    // The clock keeps the name apart from one left by a crashed process that had our pid.
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}.{:x}.{count}.tmp", std::process::id(), clock.as_nanos()));
    Ok(path.with_file_name(temporary))
}
