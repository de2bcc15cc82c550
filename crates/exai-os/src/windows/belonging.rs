use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsHandle as _;
use std::path::Path;

use windows_sys::Win32::Security::Authorization::{SE_FILE_OBJECT, SE_KERNEL_OBJECT};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

use super::process::open;
use super::security::is_ours;

pub(crate) fn file_is_ours(path: &Path) -> io::Result<bool> {
    let file = OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    is_ours(file.as_handle(), SE_FILE_OBJECT)
}

pub(crate) fn process_is_ours(pid: u32) -> io::Result<bool> {
    let access = PROCESS_QUERY_LIMITED_INFORMATION | READ_CONTROL;
    let process = open(pid, access)?.ok_or(io::ErrorKind::NotFound)?;
    is_ours(process.as_handle(), SE_KERNEL_OBJECT)
}

pub(crate) fn runs_our_program(pid: u32) -> io::Result<bool> {
    let ours = std::env::current_exe()?;
    let theirs = super::process::executable(pid)?;
    Ok(ours.as_os_str().eq_ignore_ascii_case(&theirs))
}
