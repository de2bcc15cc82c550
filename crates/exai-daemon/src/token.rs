//! The token that clients on TCP must show.

use std::io;
use std::sync::Arc;

use exai_config::Home;

/// The content of the `token` file. It never appears in a log.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

const BYTES: usize = 32;

impl Token {
    /// Reads the token, or makes one if there is none that could be one.
    pub(crate) fn load_or_create(home: &Home) -> io::Result<Self> {
        let path = home.token();
        if let Ok(bytes) = exai_os::private::read(&path, 1024) {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            if text.len() >= 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Ok(Token(text.into()));
            }
        }
        let text = random_hex::<BYTES>();
        exai_os::private::write_atomic(&path, format!("{text}\n").as_bytes())?;
        Ok(Token(text.into()))
    }

    /// Writes the token again if its file is missing. Another one that somebody wrote is left: it counts
    /// from the next start on.
    pub(crate) fn keep(&self, home: &Home) -> io::Result<()> {
        let path = home.token();
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                exai_os::private::write_atomic(&path, format!("{}\n", self.0).as_bytes())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, shown: &str) -> bool {
        let (own, shown) = (self.0.as_bytes(), shown.as_bytes());
        own.len() == shown.len()
            && own.iter().zip(shown).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
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
