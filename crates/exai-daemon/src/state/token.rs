//! The token that clients on TCP must show.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use exai_config::Home;
use subtle::ConstantTimeEq as _;

/// The content of the `token` file. It never appears in a log. All clones change together.
#[derive(Clone)]
pub(crate) struct Token {
    current: Arc<RwLock<Arc<str>>>,
    /// Held while the file is written, so that the file and `current` change together.
    writing: Arc<Mutex<()>>,
}

/// Random bytes in a token; the file has two digits for each.
const TOKEN_BYTES: usize = 32;

/// Writes a new random token into the file, in one step.
fn create_token_file(home: &Home) -> io::Result<Arc<str>> {
    let text = random_hex::<TOKEN_BYTES>();
    exai_os::private::write_atomic(&home.token(), format!("{text}\n").as_bytes())?;
    Ok(text.into())
}

/// Writes a new token into the file, for the next daemon. The caller must have made sure that no daemon runs.
pub fn rotate_token(home: &Home) -> io::Result<()> {
    create_token_file(home).map(drop)
}

/// The token in these bytes; `None` if they hold none.
fn parse_token(bytes: &[u8]) -> Option<Arc<str>> {
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    let fit = text.len() >= 2 * TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fit.then(|| text.into())
}

/// Whether this error of a reading means that the file can hold no token of ours, since it is too long or belongs to
/// another account. Errors of the system have a number, and those do not mean that.
fn is_foreign_file(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

impl Token {
    /// Reads the token, or makes a new one if the file holds none. A file of ours that cannot be read now is an error:
    /// a new token would lock out every client that has the old one.
    pub(crate) fn load_or_create(home: &Home) -> io::Result<Self> {
        let there = std::fs::symlink_metadata(home.token()).ok();
        let found = match exai_os::private::read(&home.token(), 1024) {
            Ok(bytes) => parse_token(&bytes),
            Err(error)
                if there.as_ref().is_some_and(std::fs::Metadata::is_file) && !is_foreign_file(&error) =>
            {
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
            create_token_file(home)?
        };
        Ok(Token { current: Arc::new(RwLock::new(text)), writing: Arc::default() })
    }

    /// Replaces the token: in the file first, so that no client is refused that has just read the file. Blocks.
    pub(crate) fn rotate(&self, home: &Home) -> io::Result<()> {
        let _writing = self.writing();
        let new = create_token_file(home)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Writes the token again if its file is missing. A file with another token stays: that token counts from the next
    /// start on.
    pub(crate) fn restore_file(&self, home: &Home) -> io::Result<()> {
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

    /// Whether a client has shown this token. Compares in constant time.
    pub(crate) fn matches(&self, shown: &str) -> bool {
        self.current().as_bytes().ct_eq(shown.as_bytes()).into()
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
            assert!(made.len() == 2 * TOKEN_BYTES && made != first);
            assert_eq!(std::fs::read_to_string(home.token()).unwrap().trim(), &*made);
        }
        std::fs::remove_file(home.token()).unwrap();
        assert_eq!(Token::load_or_create(&home).unwrap().current().len(), 2 * TOKEN_BYTES);
    }

    /// If exai cannot read the token, it must not replace it: a new token would lock out every client with the old one.
    #[test]
    fn what_the_system_does_not_let_us_read_is_not_replaced() {
        let refused = io::Error::from_raw_os_error(5);
        assert!(!is_foreign_file(&refused));
        assert!(is_foreign_file(&io::Error::new(
            io::ErrorKind::PermissionDenied,
            "belongs to another account"
        )));
    }
}
