//! The token that clients on TCP must show.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use exai_config::Home;

/// The content of the `token` file. It never appears in a log. Clones are the same token, also when it changes.
#[derive(Clone)]
pub(crate) struct Token {
    current: Arc<RwLock<Arc<str>>>,
    /// Held while the file is written: the file and what counts must not part.
    writing: Arc<Mutex<()>>,
}

const BYTES: usize = 32;

/// Writes a token of its own into the file, in one step.
fn make(home: &Home) -> io::Result<Arc<str>> {
    let text = random_hex::<BYTES>();
    exai_os::private::write_atomic(&home.token(), format!("{text}\n").as_bytes())?;
    Ok(text.into())
}

/// Puts a new token into the file, for the next daemon. Only for who has made sure that there is none now.
pub fn rotate_token(home: &Home) -> io::Result<()> {
    make(home).map(drop)
}

/// The token in these bytes, if it is one.
fn fit(bytes: &[u8]) -> Option<Arc<str>> {
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    let fit = text.len() >= 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fit.then(|| text.into())
}

/// Whether this was found out of a file that can hold no token of ours: too long, or another account's. What the system
/// refuses has a number.
fn is_unfit(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

impl Token {
    /// Reads the token, or makes one if there is none that could be one. A file of ours that cannot be read now is an
    /// error: another token would lock out every client that has this one.
    pub(crate) fn load_or_create(home: &Home) -> io::Result<Self> {
        let there = std::fs::symlink_metadata(home.token()).ok();
        let found = match exai_os::private::read(&home.token(), 1024) {
            Ok(bytes) => fit(&bytes),
            Err(error) if there.as_ref().is_some_and(std::fs::Metadata::is_file) && !is_unfit(&error) => {
                return Err(error);
            }
            Err(_) => None,
        };
        let text = if let Some(text) = found {
            text
        } else {
            if there.is_some() {
                tracing::warn!("the file `token` held none; clients that connect by URL need the new one");
            }
            make(home)?
        };
        Ok(Token { current: Arc::new(RwLock::new(text)), writing: Arc::default() })
    }

    /// Makes a new token the one that counts: in the file first, so that nobody is refused who has just read it.
    /// Blocks.
    pub(crate) fn rotate(&self, home: &Home) -> io::Result<()> {
        let _writing = self.writing();
        let new = make(home)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Writes the token again if its file is missing. Another one that somebody wrote is left: it counts
    /// from the next start on.
    pub(crate) fn keep(&self, home: &Home) -> io::Result<()> {
        let _writing = self.writing();
        let path = home.token();
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                exai_os::private::write_atomic(&path, format!("{}\n", self.current()).as_bytes())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, shown: &str) -> bool {
        let current = self.current();
        let (own, shown) = (current.as_bytes(), shown.as_bytes());
        own.len() == shown.len()
            && own.iter().zip(shown).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }

    fn current(&self) -> Arc<str> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bytes as hexadecimal digits.
pub(crate) fn random_hex<const N: usize>() -> String {
    use std::fmt::Write;
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("BUG: the system has no randomness");
    bytes.iter().fold(String::with_capacity(2 * N), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_and_what_is_none_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let first = Token::load_or_create(&home).unwrap().current();
        assert_eq!(Token::load_or_create(&home).unwrap().current(), first);
        for none in ["", "short", &"x".repeat(2000)] {
            std::fs::write(home.token(), none).unwrap();
            let made = Token::load_or_create(&home).unwrap().current();
            assert!(made.len() == 2 * BYTES && made != first);
            assert_eq!(std::fs::read_to_string(home.token()).unwrap().trim(), &*made);
        }
        std::fs::remove_file(home.token()).unwrap();
        assert_eq!(Token::load_or_create(&home).unwrap().current().len(), 2 * BYTES);
    }

    /// Another one would lock out every client that has this one.
    #[test]
    fn what_the_system_does_not_let_us_read_is_not_replaced() {
        let refused = io::Error::from_raw_os_error(5);
        assert!(!is_unfit(&refused));
        assert!(is_unfit(&io::Error::new(io::ErrorKind::PermissionDenied, "belongs to another account")));
    }
}
