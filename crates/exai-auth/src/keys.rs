//! Where the key of the sealed records comes from: the system's keyring, which may be missing, locked, silent, or reset.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exai_os::keyring::Keyring;
use exai_os::lock::lock_until;
use exai_os::private;

use crate::seal::{CannotOpen, SealedFile, SealingKey};

/// So soon after the keyring could not be used, it is not asked again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long another process may take to make the key.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Held while the key is made.
const LOCK_NAME: &str = "key.lock";

/// A place that keeps the key, and is no file of the state directory. It answers within seconds. The errors read after
/// "since ", and say that another try may succeed.
pub trait KeyVault: Debug + Send + Sync {
    /// What is kept; `None` when nothing is.
    ///
    /// # Errors
    /// When that cannot be said now.
    fn read(&self) -> Result<Option<Vec<u8>>, String>;

    /// Keeps something.
    ///
    /// # Errors
    /// When it cannot be kept now.
    fn write(&self, key: &[u8]) -> Result<(), String>;
}

impl KeyVault for Keyring {
    fn read(&self) -> Result<Option<Vec<u8>>, String> {
        Keyring::read(self).map_err(|error| error.to_string())
    }

    fn write(&self, key: &[u8]) -> Result<(), String> {
        Keyring::write(self, key).map_err(|error| error.to_string())
    }
}

/// Why a sealed record cannot be read. Nobody is signed out by that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The key cannot be had now. Another try may succeed.
    #[error("the key cannot be had now, since {0}")]
    Unavailable(String),
    /// There is no such key any more.
    #[error("the keyring of the system does not have the key any more")]
    Gone,
    /// A later exai has sealed it.
    #[error("only a later exai knows how it is sealed")]
    Unknown,
}

impl NoKey {
    /// The reason of an error of [`crate::Records`], if it is this.
    pub fn of(error: &io::Error) -> Option<&NoKey> {
        error.get_ref()?.downcast_ref()
    }
}

/// The key, read from its place at most once.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    source: Source,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Clone)]
enum Source {
    Vault(Arc<dyn KeyVault>),
    Given(SealingKey),
    /// There is none, for this reason.
    None(&'static str),
}

#[derive(Debug, Default)]
struct Known {
    key: Option<SealingKey>,
    /// Why the vault could not be used, and when.
    failed: Option<(Instant, String)>,
}

impl Keys {
    pub(crate) fn of_vault(vault: Arc<dyn KeyVault>) -> Self {
        Keys::of(Source::Vault(vault))
    }

    pub(crate) fn given(key: SealingKey) -> Self {
        Keys::of(Source::Given(key))
    }

    /// No key; `why` reads after "since ".
    pub(crate) fn none(why: &'static str) -> Self {
        Keys::of(Source::None(why))
    }

    fn of(source: Source) -> Self {
        Keys { source, known: Arc::default() }
    }

    /// The key; `None` when there is none yet. The error reads after "since ".
    pub(crate) fn find(&self) -> Result<Option<SealingKey>, String> {
        self.with_vault(|vault| vault.read_key())
    }

    /// The key, which is made if there is none yet. Of several processes that make it at the same time, one does.
    pub(crate) fn find_or_make(&self, dir: &Path) -> Result<SealingKey, String> {
        let made = self.with_vault(|vault| match vault.read_key()? {
            Some(key) => Ok(Some(key)),
            None => make(vault, dir).map(Some),
        })?;
        made.ok_or_else(|| "BUG: a key was made and there is none".to_owned())
    }

    /// Has the vault keep the key again, if it is known here and the vault has none any more: a keyring may be reset while
    /// somebody has the key, and what is sealed with the key would be lost with the memory.
    pub(crate) fn keep_again(&self) {
        let (Source::Vault(vault), Some(key)) = (&self.source, self.known().key.clone()) else { return };
        let has_none = matches!(vault.read(), Ok(None));
        if has_none && let Err(why) = vault.write(key.bytes()) {
            tracing::warn!(why, "the keyring of the system does not keep the key of the sign-ins");
        }
    }

    /// Opens the sealed record `id`.
    pub(crate) fn open(&self, id: &str, file: &SealedFile) -> Result<Opened, NoKey> {
        let key = self.find().map_err(NoKey::Unavailable)?.ok_or(NoKey::Gone)?;
        match key.open(id, file) {
            Ok(record) => Ok(Opened::Record(record)),
            Err(CannotOpen::Changed) => Ok(Opened::Changed),
            Err(CannotOpen::OtherKey) => Err(NoKey::Gone),
            Err(CannotOpen::OtherCipher) => Err(NoKey::Unknown),
        }
    }

    /// Has the vault asked, unless the key is known, or the vault could not be used a moment ago. One at a time asks.
    fn with_vault(
        &self,
        ask: impl FnOnce(&dyn KeyVault) -> Result<Option<SealingKey>, String>,
    ) -> Result<Option<SealingKey>, String> {
        let vault = match &self.source {
            Source::Vault(vault) => vault,
            Source::Given(key) => return Ok(Some(key.clone())),
            Source::None(why) => return Err((*why).to_owned()),
        };
        let mut known = self.known();
        if known.key.is_some() {
            return Ok(known.key.clone());
        }
        if let Some((at, why)) = &known.failed
            && at.elapsed() < RETRY_INTERVAL
        {
            return Err(why.clone());
        }
        let answer = ask(&**vault);
        known.failed = answer.as_ref().err().map(|why| (Instant::now(), why.clone()));
        known.key = answer.clone()?;
        answer
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the key makes of a sealed file.
pub(crate) enum Opened {
    Record(zeroize::Zeroizing<Vec<u8>>),
    /// It is not what was sealed.
    Changed,
}

impl dyn KeyVault + '_ {
    fn read_key(&self) -> Result<Option<SealingKey>, String> {
        let Some(bytes) = self.read()?.map(zeroize::Zeroizing::new) else { return Ok(None) };
        let key = SealingKey::of_bytes(&bytes);
        key.map(Some).ok_or_else(|| "what the keyring of the system has is no key of exai".to_owned())
    }
}

fn make(vault: &dyn KeyVault, dir: &Path) -> Result<SealingKey, String> {
    let failed = |error: &dyn std::fmt::Display| format!("no key can be made ({error})");
    private::ensure_dir(dir).map_err(|error| failed(&error))?;
    let lock = lock_until(&dir.join(LOCK_NAME), Instant::now() + LOCK_TIMEOUT);
    let Some(_lock) = lock.map_err(|error| failed(&error))? else {
        return Err(failed(&"another process takes too long"));
    };
    // Another process may have been faster.
    if let Some(key) = vault.read_key()? {
        return Ok(key);
    }
    let key = SealingKey::random().map_err(|error| failed(&error))?;
    vault.write(key.bytes())?;
    // What is sealed with a key that is not kept would be lost.
    match vault.read_key()? {
        Some(kept) if kept == key => Ok(key),
        Some(_) | None => Err(failed(&"the keyring of the system did not keep it")),
    }
}
