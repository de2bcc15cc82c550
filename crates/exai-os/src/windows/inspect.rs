//! What Windows tells less about than others is `Unsupported`.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::windows::io::AsHandle as _;
use std::path::Path;

use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, GetDiskFreeSpaceExW, READ_CONTROL,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

use super::handle::{check, wide_path};
use super::security::{Owner, User, lets_others_in, owner};
use crate::inspect::{Entry, EntryKind, Limits, ProgramFile, Space};

pub(crate) fn entry(path: &Path) -> io::Result<Entry> {
    let found = std::fs::symlink_metadata(path)?;
    let attributes = found.file_attributes();
    let kind = if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        EntryKind::Link
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        EntryKind::Directory
    } else {
        EntryKind::File
    };
    let opened = OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let open_to_others = kind == EntryKind::Directory && lets_others_in(opened.as_handle())?;
    let foreign_owner = match owner(opened.as_handle(), SE_FILE_OBJECT)? {
        Owner::Another => Some("another account".to_owned()),
        // What they let others use is theirs.
        Owner::Administrators if open_to_others => Some("the administrators".to_owned()),
        Owner::Administrators | Owner::Us => None,
    };
    Ok(Entry { kind, foreign_owner, mode: None, open_to_others, length: found.len() })
}

pub(crate) fn network_filesystem(directory: &Path) -> io::Result<Option<String>> {
    Ok(super::private::is_remote(directory)?.then(|| "a network drive".to_owned()))
}

pub(crate) fn is_writable(directory: &Path) -> bool {
    std::fs::metadata(directory).is_ok_and(|found| !found.permissions().readonly())
}

pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let name = wide_path(path)?;
    let mut bytes = 0_u64;
    // SAFETY: the name ends with a zero; one place for a number, and two that are not wanted.
    check(unsafe {
        GetDiskFreeSpaceExW(name.as_ptr(), &raw mut bytes, std::ptr::null_mut(), std::ptr::null_mut())
    })?;
    Ok(Space { bytes, files: None })
}

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) fn limits_of(_pid: u32) -> io::Result<Limits> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_of_this_account(pid: u32) -> io::Result<bool> {
    let process = super::handle::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?
        .ok_or(io::ErrorKind::NotFound)?;
    Ok(User::of_process(process.as_handle())?.same(&User::current()?))
}

pub(crate) fn program_file(_pid: u32) -> io::Result<ProgramFile> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_halted(_pid: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn under_wine() -> bool {
    // SAFETY: both names end with a zero; the library is part of every process.
    let found = unsafe {
        let library = GetModuleHandleW(windows_sys::w!("ntdll.dll"));
        GetProcAddress(library, windows_sys::s!("wine_get_version"))
    };
    found.is_some()
}
