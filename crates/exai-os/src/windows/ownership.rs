use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsHandle as _;
use std::path::Path;

use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};

use super::security::is_ours;

pub(crate) fn file_is_ours(path: &Path) -> io::Result<bool> {
    let file = OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    is_ours(file.as_handle(), SE_FILE_OBJECT)
}

pub(crate) use super::inspect::is_of_this_account as process_is_ours;

pub(crate) fn runs_our_program(pid: u32) -> io::Result<bool> {
    let ours = std::env::current_exe()?;
    let theirs = super::process::executable(pid)?;
    Ok(ours.as_os_str().eq_ignore_ascii_case(&theirs))
}
