use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::PathBuf;
use std::time::Duration;

use windows_sys::Win32::Security::{TOKEN_DUPLICATE, TOKEN_QUERY};
use windows_sys::Win32::System::Environment::{CreateEnvironmentBlock, DestroyEnvironmentBlock};

use super::handle::{check, until_zero};
use super::security::token;
use crate::account::Account;

type Vars = Vec<(OsString, OsString)>;

pub(crate) fn same_name(name: &OsStr, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// What programs need to start at all.
pub(crate) fn base(account: &Account) -> Vars {
    let mut vars: Vars = vec![("USERPROFILE".into(), account.home.clone().into())];
    vars.push(("USERNAME".into(), account.name.clone().into()));
    vars.push(("ComSpec".into(), account.shell.clone().into()));
    if let Ok(system) = super::account::system_directory() {
        if let Some(root) = system.parent() {
            vars.push(("SystemRoot".into(), root.into()));
        }
        vars.push(("PATH".into(), system.into()));
    }
    vars
}

/// The environment is in the registry.
pub(crate) fn start_files(_account: &Account) -> Vec<PathBuf> {
    Vec::new()
}

/// The registry answers at once.
pub(crate) const ASKING_IS_QUICK: bool = true;

/// There is nothing to save.
pub(crate) fn cache_directory(_account: &Account) -> Option<PathBuf> {
    None
}

/// The variables of system and user as the registry has them, without those of this process.
pub(crate) fn capture(_account: &Account, _session: &Vars, _limit: Duration) -> Result<Vars, String> {
    read().map_err(|error| format!("the system does not show the account's environment: {error}"))
}

fn read() -> io::Result<Vars> {
    let token = token(TOKEN_QUERY | TOKEN_DUPLICATE)?;
    let mut block = std::ptr::null_mut();
    // SAFETY: an open token and a place for the pointer; nothing is inherited from this process.
    check(unsafe { CreateEnvironmentBlock(&raw mut block, token.as_raw_handle(), 0) })?;
    let mut vars = Vars::new();
    let mut at = block.cast::<u16>().cast_const();
    loop {
        // SAFETY: the block is texts that each end with a zero, and ends with an empty one.
        let entry = unsafe { until_zero(at) };
        if entry.is_empty() {
            break;
        }
        // Entries like `=C:=C:\dir` are notes of the command interpreter.
        if let Some(equals) = entry.iter().position(|unit| *unit == u16::from(b'=')).filter(|at| *at > 0) {
            vars.push((OsString::from_wide(&entry[..equals]), OsString::from_wide(&entry[equals + 1..])));
        }
        // SAFETY: the next text follows the zero.
        at = unsafe { at.add(entry.len() + 1) };
    }
    // SAFETY: ours to free, and not used any more.
    unsafe { DestroyEnvironmentBlock(block) };
    Ok(vars)
}
