//! The account this process runs as, and the environment its owner would have at a prompt.
//!
//! Clients start shims with the environment that they happen to have: that of a desktop application is poor, and that
//! of an editor may be a virtual environment. The daemon serves all clients, so it takes the environment of the
//! account.

use std::ffi::OsString;
use std::time::Duration;

use crate::environment_cache as cache;
use crate::sys;

pub(crate) mod entry;

pub use entry::{Account, AccountError};

/// The account of this process: that of its effective uid.
pub fn current() -> Result<Account, AccountError> {
    sys::account::current()
}

/// Why this process must not start a daemon: it acts for another account than the one that logged in
/// (`sudo`, an elevated token on Windows), and the daemon would be out of its owner's reach.
pub fn runs_for_another_account() -> Option<String> {
    sys::account::runs_for_another_account()
}

/// Variables for a daemon or a server, and where they come from.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountEnvironment {
    /// Names and values; each name once.
    pub vars: Vec<(OsString, OsString)>,
    /// How they were found.
    pub source: EnvironmentSource,
}

impl std::fmt::Debug for AccountEnvironment {
    /// Without the values: they hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.vars.iter().map(|(name, _)| name).collect();
        f.debug_struct("AccountEnvironment").field("names", &names).field("source", &self.source).finish()
    }
}

/// Where an [`AccountEnvironment`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentSource {
    /// The login shell (Unix) or the system (Windows) was asked just now.
    Captured,
    /// An earlier answer, at most a day old, and the shell's start files have not changed since.
    Cached {
        /// How old it is.
        age: Duration,
    },
    /// Neither was available: the bare variables of an account without start files.
    Fallback {
        /// Why, in words.
        reason: String,
    },
}

/// Whether the environment can be read at any time: from the registry of Windows. Elsewhere a login shell must run
/// for it.
pub const ASKING_IS_QUICK: bool = sys::environment::ASKING_IS_QUICK;

/// The account's environment, from the cache when that is valid (a few file looks), else by running the
/// login shell for at most `limit`. Blocking.
///
/// `starter` is the environment of the process that starts the daemon. Only the variables of the session are taken
/// from it (`SSH_AUTH_SOCK`, `DISPLAY` and the like, and where the shell sets none, language and time zone).
pub fn environment(
    account: &Account,
    starter: &[(OsString, OsString)],
    limit: Duration,
) -> AccountEnvironment {
    if let Some((vars, age)) = cache::load(account) {
        let source = EnvironmentSource::Cached { age };
        return AccountEnvironment { vars: with_session(vars, starter), source };
    }
    refresh_environment(account, starter, limit)
}

/// The account's environment as it was last captured, if that is still valid. On Windows, where no shell needs to be
/// asked, it is the present one. Changes nothing.
pub fn cached_environment(account: &Account) -> Option<AccountEnvironment> {
    if ASKING_IS_QUICK {
        let vars = sys::environment::capture(account, &Vec::new(), Duration::ZERO).ok()?;
        return Some(AccountEnvironment { vars, source: EnvironmentSource::Captured });
    }
    let (vars, age) = cache::load(account)?;
    Some(AccountEnvironment { vars, source: EnvironmentSource::Cached { age } })
}

/// Like [`environment`], but always asks the shell, and renews the cache when that succeeds.
pub fn refresh_environment(
    account: &Account,
    starter: &[(OsString, OsString)],
    limit: Duration,
) -> AccountEnvironment {
    // Before the shell runs: a file that changes meanwhile makes the result stale at once.
    let stamp = cache::stamp(account);
    let session: Vec<_> = starter.iter().filter(|(name, _)| is_session(name)).cloned().collect();
    let (vars, source) = match sys::environment::capture(account, &session, limit) {
        Ok(mut vars) => {
            // A variable that the shell only passed on belongs to this session, not into the cache.
            vars.retain(|var| !is_noise(&var.0) && !session.contains(var));
            cache::store(account, &stamp, &vars);
            (vars, EnvironmentSource::Captured)
        }
        Err(reason) => (sys::environment::base(account), EnvironmentSource::Fallback { reason }),
    };
    AccountEnvironment { vars: with_session(vars, starter), source }
}

/// Adds the starter's session variables. Its sockets and displays are those of the session that lives
/// now; for language and time zone the shell knows better.
fn with_session(
    mut vars: Vec<(OsString, OsString)>,
    starter: &[(OsString, OsString)],
) -> Vec<(OsString, OsString)> {
    for (name, value) in starter {
        let known = vars.iter_mut().find(|(known, _)| known == name);
        match known {
            Some(known) if is_session(name) => known.1.clone_from(value),
            None if is_session(name) || is_locale(name) => vars.push((name.clone(), value.clone())),
            Some(_) | None => {}
        }
    }
    vars
}

/// The value of a variable, by the rule of this system: on Windows the case of a name does not matter.
pub fn find_variable<'a>(vars: &'a [(OsString, OsString)], name: &str) -> Option<&'a std::ffi::OsStr> {
    vars.iter().find(|(known, _)| sys::environment::same_name(known, name)).map(|(_, value)| &**value)
}

/// Gives a variable a value, by the same rule: there is one of its name afterwards.
pub fn set_variable(vars: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    match vars.iter_mut().find(|(known, _)| sys::environment::same_name(known, name)) {
        Some((_, known)) => *known = value,
        None => vars.push((name.into(), value)),
    }
}

/// Whether a variable belongs to the person's session (agent sockets, displays, language, time zone) and not
/// to the program that happened to start the daemon.
pub fn is_of_session(name: &std::ffi::OsStr) -> bool {
    is_session(name) || is_locale(name)
}

/// What the account has before any start file is read: home, names, shell, a standard path.
pub fn bare_environment(account: &Account) -> Vec<(OsString, OsString)> {
    sys::environment::base(account)
}

fn is_session(name: &std::ffi::OsStr) -> bool {
    const SESSION: [&str; 7] = [
        "SSH_AUTH_SOCK",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "XDG_SESSION_ID",
    ];
    SESSION.iter().any(|known| name == *known)
}

fn is_locale(name: &std::ffi::OsStr) -> bool {
    name == "LANG" || name == "TZ" || name.to_str().is_some_and(|name| name.starts_with("LC_"))
}

/// What a shell says about itself rather than about its account.
fn is_noise(name: &std::ffi::OsStr) -> bool {
    ["PWD", "OLDPWD", "SHLVL", "_"].iter().any(|known| name == *known)
}

#[cfg(all(test, unix))]
mod tests;
