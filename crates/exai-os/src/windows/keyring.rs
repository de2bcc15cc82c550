//! The credentials of the account ("Credential Manager"), which this machine alone keeps.

use std::ffi::OsString;
use std::io;
use std::ptr::null_mut;
use std::slice;
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_NO_SUCH_LOGON_SESSION, ERROR_NOT_FOUND};
use windows_sys::Win32::Security::Credentials::{
    CRED_PERSIST_LOCAL_MACHINE, CRED_TYPE_GENERIC, CREDENTIALW, CredDeleteW, CredFree, CredReadW, CredWriteW,
};

use super::handle::{check, wide};
use crate::keyring::{Entry, KeyringError};

/// The credentials belong to the account, not to an environment.
#[derive(Clone, Debug)]
pub(crate) struct Place;

impl Place {
    pub(crate) fn of(_environment: &[(OsString, OsString)]) -> Self {
        Place
    }
}

/// The name of the credential.
fn target(entry: &Entry) -> Result<Vec<u16>, KeyringError> {
    text(&format!("{}: {}", entry.service, entry.user))
}

fn text(text: &str) -> Result<Vec<u16>, KeyringError> {
    wide(text).map_err(|error| read_error(&error))
}

pub(crate) fn read(
    _place: &Place,
    entry: &Entry,
    _timeout: Duration,
) -> Result<Option<Vec<u8>>, KeyringError> {
    let target = target(entry)?;
    let mut found: *mut CREDENTIALW = null_mut();
    // SAFETY: a text that ends with a zero, and a place for the pointer.
    let result = check(unsafe { CredReadW(target.as_ptr(), CRED_TYPE_GENERIC, 0, &raw mut found) });
    match result {
        Err(error) if is(&error, ERROR_NOT_FOUND) => return Ok(None),
        Err(error) => return Err(read_error(&error)),
        Ok(()) => {}
    }
    // SAFETY: the call has succeeded, so this is a credential until it is freed.
    let credential = unsafe { &*found };
    let length = credential.CredentialBlobSize as usize;
    let secret = if length == 0 {
        Vec::new()
    } else {
        // SAFETY: the blob of the credential has this length.
        unsafe { slice::from_raw_parts(credential.CredentialBlob, length) }.to_vec()
    };
    // SAFETY: what CredReadW has given, once.
    unsafe { CredFree(found.cast()) };
    Ok(Some(secret))
}

pub(crate) fn write(
    _place: &Place,
    entry: &Entry,
    secret: &[u8],
    _timeout: Duration,
) -> Result<(), KeyringError> {
    let (mut target, mut user, mut secret) = (target(entry)?, text(&entry.service)?, secret.to_vec());
    let credential = CREDENTIALW {
        Type: CRED_TYPE_GENERIC,
        TargetName: target.as_mut_ptr(),
        CredentialBlobSize: secret.len() as u32,
        CredentialBlob: secret.as_mut_ptr(),
        Persist: CRED_PERSIST_LOCAL_MACHINE,
        UserName: user.as_mut_ptr(),
        ..CREDENTIALW::default()
    };
    // SAFETY: all that the credential points to lives until the call returns, and the texts end with a zero.
    check(unsafe { CredWriteW(&raw const credential, 0) }).map_err(|error| read_error(&error))
}

pub(crate) fn remove(_place: &Place, entry: &Entry, _timeout: Duration) -> Result<(), KeyringError> {
    let target = target(entry)?;
    // SAFETY: a text that ends with a zero.
    match check(unsafe { CredDeleteW(target.as_ptr(), CRED_TYPE_GENERIC, 0) }) {
        Err(error) if !is(&error, ERROR_NOT_FOUND) => Err(read_error(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read_error(error: &io::Error) -> KeyringError {
    // A session that was opened with a key over ssh has no credentials.
    if is(error, ERROR_NO_SUCH_LOGON_SESSION) {
        return KeyringError::Absent("this logon session keeps no credentials".to_owned());
    }
    KeyringError::Refused(error.to_string())
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}
