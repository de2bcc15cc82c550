use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::account::{Account, AccountError};

/// An entry longer than this is no account of a person.
const MAX_ENTRY_BYTES: usize = 1 << 20;

pub(crate) fn current() -> Result<Account, AccountError> {
    let uid = rustix::process::geteuid().as_raw();
    let mut buffer = vec![0_u8; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to writable memory, and the buffer is as long as the length given.
        let error = unsafe {
            libc::getpwuid_r(
                uid,
                entry.as_mut_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut found,
            )
        };
        match error {
            0 if found.is_null() => return Err(AccountError::NoEntry { uid }),
            0 => {
                // SAFETY: the call succeeded with a result, so it filled the entry; its strings end with
                // a zero and live in `buffer`, which outlives this use.
                let account = unsafe {
                    let entry = entry.assume_init();
                    let shell = path(entry.pw_shell);
                    Account {
                        uid,
                        name: CStr::from_ptr(entry.pw_name).to_string_lossy().into_owned(),
                        home: path(entry.pw_dir),
                        shell: if shell.is_absolute() { shell } else { "/bin/sh".into() },
                    }
                };
                // A home that is not absolute is no home: such entries exist for services.
                return if account.home.is_absolute() {
                    Ok(account)
                } else {
                    Err(AccountError::NoEntry { uid })
                };
            }
            libc::ERANGE if buffer.len() < MAX_ENTRY_BYTES => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            // Several systems answer "no such entry" in one of these ways; see getpwuid_r(3).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {
                return Err(AccountError::NoEntry { uid });
            }
            error => return Err(io::Error::from_raw_os_error(error).into()),
        }
    }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn path(text: *const libc::c_char) -> PathBuf {
    if text.is_null() {
        return PathBuf::new();
    }
    // SAFETY: by this function's contract.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(text) }.to_bytes())).to_owned()
}

/// `sudo` leaves the caller's uid in the environment; nothing else tells it from a login of root.
#[expect(clippy::disallowed_methods, reason = "SUDO_UID is sudo's word to us, not a setting of exai")]
pub(crate) fn runs_for_another_account() -> Option<String> {
    let caller = std::env::var("SUDO_UID").ok()?;
    let acts_as_root = rustix::process::geteuid().is_root() && caller != "0";
    acts_as_root.then(|| format!("this command runs under sudo, as root for uid {caller}"))
}
