use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt as _;
use std::path::PathBuf;

use windows_sys::Win32::Security::{TOKEN_QUERY, TokenElevationType, TokenElevationTypeFull};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;
use windows_sys::Win32::UI::Shell::GetUserProfileDirectoryW;

use super::handle::check;
use super::security::{User, token, token_information};
use crate::account::{Account, AccountError};

pub(crate) fn current() -> Result<Account, AccountError> {
    let shell = system_directory()?.join("cmd.exe");
    Ok(Account { uid: 0, name: name()?, home: profile()?, shell })
}

/// The profile's directory, by the account and not by the environment.
fn profile() -> io::Result<PathBuf> {
    let token = token(TOKEN_QUERY)?;
    let mut buffer = vec![0_u16; 32_768];
    let mut length = buffer.len() as u32;
    // SAFETY: the buffer has the length given.
    check(unsafe {
        GetUserProfileDirectoryW(
            std::os::windows::io::AsRawHandle::as_raw_handle(&token),
            buffer.as_mut_ptr(),
            &raw mut length,
        )
    })?;
    Ok(until_zero(&buffer).into())
}

/// Its number where the system has no name at hand: a domain that cannot be reached is no reason to fail.
fn name() -> io::Result<String> {
    let mut name = [0_u16; 512];
    let mut length = name.len() as u32;
    // SAFETY: the buffer has the length given.
    match check(unsafe { GetUserNameW(name.as_mut_ptr(), &raw mut length) }) {
        Ok(()) => Ok(until_zero(&name).to_string_lossy().into_owned()),
        Err(_) => User::current()?.text(),
    }
}

pub(super) fn system_directory() -> io::Result<PathBuf> {
    let mut buffer = [0_u16; 1024];
    // SAFETY: the buffer has the length given.
    let length = unsafe { GetSystemDirectoryW(buffer.as_mut_ptr(), buffer.len() as u32) } as usize;
    if length == 0 || length >= buffer.len() {
        return Err(io::Error::last_os_error());
    }
    Ok(OsString::from_wide(&buffer[..length]).into())
}

pub(super) fn until_zero(units: &[u16]) -> OsString {
    OsString::from_wide(units.split(|unit| *unit == 0).next().unwrap_or_default())
}

/// "Full" is the elevated half of an administrator's two tokens. Where there is only one kind of token
/// (the built-in administrator, no UAC) every process of the account has it, and can reach the others.
pub(crate) fn runs_for_another_account() -> Option<String> {
    let information = token_information(&token(TOKEN_QUERY).ok()?, TokenElevationType).ok()?;
    let elevated = information.first().is_some_and(|kind| *kind as i32 == TokenElevationTypeFull);
    elevated.then(|| "this command runs elevated, as administrator".to_owned())
}
