//! The keychain of macOS. Never run.

use std::ffi::OsString;
use std::time::Duration;

use security_framework::base::Error;
use security_framework::passwords::{delete_generic_password, get_generic_password, set_generic_password};

use crate::keyring::{Entry, KeyringError};

/// Codes of the Security framework (`SecBase.h`).
const NOT_FOUND: i32 = -25300;
const NO_DEFAULT_KEYCHAIN: i32 = -25307;
const NOT_AVAILABLE: i32 = -25291;
const INTERACTION_NOT_ALLOWED: i32 = -25308;
const AUTH_FAILED: i32 = -25293;
const CANCELED_BY_USER: i32 = -128;

/// The keychain belongs to the account, not to an environment.
#[derive(Clone, Debug)]
pub(crate) struct Place;

impl Place {
    pub(crate) fn of(_environment: &[(OsString, OsString)]) -> Self {
        Place
    }
}

pub(crate) fn read(
    _place: &Place,
    entry: &Entry,
    _timeout: Duration,
) -> Result<Option<Vec<u8>>, KeyringError> {
    match get_generic_password(&entry.service, &entry.user) {
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.code() == NOT_FOUND => Ok(None),
        Err(error) => Err(read_error(error)),
    }
}

pub(crate) fn write(
    _place: &Place,
    entry: &Entry,
    secret: &[u8],
    _timeout: Duration,
) -> Result<(), KeyringError> {
    set_generic_password(&entry.service, &entry.user, secret).map_err(read_error)
}

pub(crate) fn remove(_place: &Place, entry: &Entry, _timeout: Duration) -> Result<(), KeyringError> {
    match delete_generic_password(&entry.service, &entry.user) {
        Err(error) if error.code() != NOT_FOUND => Err(read_error(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read_error(error: Error) -> KeyringError {
    match error.code() {
        INTERACTION_NOT_ALLOWED | AUTH_FAILED | CANCELED_BY_USER => KeyringError::Locked,
        NO_DEFAULT_KEYCHAIN | NOT_AVAILABLE => KeyringError::Absent(error.to_string()),
        _ => KeyringError::Refused(error.to_string()),
    }
}
