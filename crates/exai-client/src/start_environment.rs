//! The environment of a new daemon: that of the account, as far as it is known without asking a shell, and never that
//! of the client that happened to start the daemon. The daemon asks the shell itself.

use std::ffi::{OsStr, OsString};

use exai_config::environment;
use exai_os::{account, build, failpoint};

/// Without these no program starts on Windows. Elsewhere they do not exist.
const SYSTEM: [&str; 13] = [
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "USERPROFILE",
    "USERNAME",
    "APPDATA",
    "LOCALAPPDATA",
    "TEMP",
    "TMP",
];

/// The variables that a new daemon starts with.
pub(crate) fn for_daemon() -> Vec<(OsString, OsString)> {
    let account = account::current().ok();
    let mut vars = account.as_ref().map(account::bare_environment).unwrap_or_default();
    vars.extend(environment::of_this_process().into_iter().filter(|(name, _)| passes(name)));
    vars
}

fn passes(name: &OsStr) -> bool {
    if account::is_of_session(name) {
        return true;
    }
    let Some(name) = name.to_str() else { return false };
    if failpoint::ACTIVE && [failpoint::VARIABLE, build::VARIABLE, build::LINK_VARIABLE].contains(&name) {
        return true;
    }
    let ours = [environment::HOME, environment::PORT, environment::LOG, environment::KEYRING];
    ours.iter().any(|ours| ours.name == name) || SYSTEM.iter().any(|system| system.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_passes_and_the_client_does_not() {
        for name in ["SSH_AUTH_SOCK", "LC_ALL", "EXAI_HOME", "EXAI_PORT", "EXAI_KEYRING", "SystemRoot"] {
            assert!(passes(OsStr::new(name)), "{name}");
        }
        for name in
            ["PATH", "HOME", "VIRTUAL_ENV", "NODE_OPTIONS", "EXAI_TOKEN", "LD_PRELOAD", "GITHUB_TOKEN"]
        {
            assert!(!passes(OsStr::new(name)), "{name}");
        }
    }
}
