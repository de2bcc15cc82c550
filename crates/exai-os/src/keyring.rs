//! The keyring of the system, which keeps small secrets for the account: the Secret Service of the session on Linux, the
//! credentials of Windows, the keychain of macOS.
//!
//! It is never asked to open a window on Linux: whoever asks is a daemon, and nobody may sit before a screen. Windows has no
//! such window. macOS may show one to a person when the program has changed; until that is answered this is
//! [`KeyringError::Silent`]. The part for macOS has never been run.

use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::sys;

/// How long a keyring may take.
pub const KEYRING_TIMEOUT: Duration = Duration::from_secs(5);
/// So many threads may wait for a keyring that hangs; nothing can end them but the keyring.
const MAX_WAITING: usize = 2;
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// One entry of the keyring. Every method blocks, but never longer than its timeout.
#[derive(Clone, Debug)]
pub struct Keyring {
    place: sys::keyring::Place,
    entry: Entry,
    timeout: Duration,
}

/// What the entry is found by. The keyring shows both to whoever looks, so neither may be a secret.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) service: String,
    pub(crate) user: String,
}

/// Why a keyring cannot be used now. Each reads after "since ", and another try may succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is none that this process can reach.
    #[error("no keyring can be reached here ({0})")]
    Absent(String),
    /// It wants a person to unlock it.
    #[error("the keyring of the system is locked")]
    Locked,
    /// It takes too long: it may hang, or wait for a person.
    #[error("the keyring of the system does not answer")]
    Silent,
    /// It refuses.
    #[error("the keyring of the system refuses ({0})")]
    Refused(String),
}

impl Keyring {
    /// The entry of a program (`service`) for a `user`, in the keyring of the session that this environment belongs to.
    pub fn new(environment: &[(OsString, OsString)], service: &str, user: &str) -> Self {
        Keyring {
            place: sys::keyring::Place::of(environment),
            entry: Entry { service: service.to_owned(), user: user.to_owned() },
            timeout: KEYRING_TIMEOUT,
        }
    }

    /// The same with another timeout.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Keyring { timeout, ..self }
    }

    /// What is kept; `None` when the keyring can be read and has no such entry.
    pub fn read(&self) -> Result<Option<Vec<u8>>, KeyringError> {
        self.ask(sys::keyring::read)
    }

    /// Keeps something, in place of what was kept before.
    pub fn write(&self, secret: &[u8]) -> Result<(), KeyringError> {
        let secret = secret.to_vec();
        self.ask(move |place, entry, timeout| sys::keyring::write(place, entry, &secret, timeout))
    }

    /// Removes what is kept. Nothing to remove is no error.
    pub fn remove(&self) -> Result<(), KeyringError> {
        self.ask(sys::keyring::remove)
    }

    /// Asks in a thread of its own, since no system offers a deadline.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&sys::keyring::Place, &Entry, Duration) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let turn = Turn::take().ok_or(KeyringError::Silent)?;
        let (place, entry, timeout) = (self.place.clone(), self.entry.clone(), self.timeout);
        let (tell, hear) = sync_channel(1);
        let asking = thread::Builder::new().name("keyring".to_owned()).spawn(move || {
            let result = work(&place, &entry, timeout);
            drop(turn);
            // Nobody may wait any more.
            let _ = tell.send(result);
        });
        asking.map_err(|error| KeyringError::Refused(error.to_string()))?;
        hear.recv_timeout(self.timeout).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => KeyringError::Silent,
                RecvTimeoutError::Disconnected => KeyringError::Refused("BUG: its thread failed".to_owned()),
            })
        })
    }
}

/// One of the threads that may wait.
struct Turn;

impl Turn {
    fn take() -> Option<Turn> {
        let more = |count| (count < MAX_WAITING).then_some(count + 1);
        WAITING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
