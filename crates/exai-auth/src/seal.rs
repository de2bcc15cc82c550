//! A record that is sealed: what is on the disk is worth nothing without the key, which is not there.

use std::fmt;
use std::io::{self, BufRead};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// The longest line with a key that is read.
const MAX_LINE_BYTES: u64 = 256;
/// The only way to seal that there is.
const CIPHER: &str = "XChaCha20-Poly1305";
/// What the name of the record follows in the associated data.
const CONTEXT: &str = "exai sign-in 1 ";

/// The key of all sealed records of a state directory: 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey(Zeroizing<[u8; KEY_BYTES]>);

/// The file of a sealed record, as JSON. A file without `sealed` is a record in plain text ([`crate::Record`]).
///
/// The associated data is `exai sign-in 1 ID`, where `ID.json` is the name of the file: a sealed record is good under its
/// own name alone. Unknown fields are ignored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SealedFile {
    /// How: `XChaCha20-Poly1305`.
    sealed: String,
    /// With which key: the first half of the SHA-256 of it; in base64.
    key: String,
    /// 24 bytes, other ones each time the record is written; in base64.
    nonce: String,
    /// The record as JSON, encrypted, and the tag behind it; in base64.
    text: String,
}

/// Why a sealed file cannot be opened with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CannotOpen {
    /// It is sealed with another key.
    OtherKey,
    /// Some later exai has sealed it.
    OtherCipher,
    /// It is not as it was sealed, or has another name.
    Changed,
}

impl SealingKey {
    /// A new key.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut *bytes)?;
        Ok(SealingKey(bytes))
    }

    /// The key that consists of these bytes; `None` if they are not as many as a key has.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Some(SealingKey(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// A line for the stdin of a process that reads and writes sealed records too: the key in base64, or nothing for none.
    pub fn write_line(key: Option<&Self>) -> Zeroizing<String> {
        let text = Zeroizing::new(key.map(|key| BASE64_STANDARD.encode(key.bytes())).unwrap_or_default());
        Zeroizing::new(format!("{}\n", *text))
    }

    /// Reads what [`SealingKey::write_line`] has written.
    ///
    /// # Errors
    /// When it is something else, or ends before its end: who wrote it may have died.
    pub fn read_line(from: impl BufRead) -> io::Result<Option<Self>> {
        let mut line = Zeroizing::new(String::new());
        from.take(MAX_LINE_BYTES).read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some("") => Ok(None),
            Some(text) => {
                let bytes =
                    Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| io::ErrorKind::InvalidData)?);
                SealingKey::of_bytes(&bytes).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What tells it from other keys, and gives nothing of it away.
    fn id(&self) -> String {
        BASE64_STANDARD.encode(&Sha256::digest(self.bytes())[..16])
    }

    /// Seals the record `id`.
    pub(crate) fn seal(&self, id: &str, record: &[u8]) -> io::Result<SealedFile> {
        let mut nonce = [0; NONCE_BYTES];
        fill(&mut nonce)?;
        let context = format!("{CONTEXT}{id}");
        let payload = Payload { msg: record, aad: context.as_bytes() };
        let text = self.cipher()?.encrypt(&XNonce::from(nonce), payload).map_err(io::Error::other)?;
        Ok(SealedFile {
            sealed: CIPHER.to_owned(),
            key: self.id(),
            nonce: BASE64_STANDARD.encode(nonce),
            text: BASE64_STANDARD.encode(text),
        })
    }

    /// Opens the sealed record `id`.
    pub(crate) fn open(&self, id: &str, file: &SealedFile) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        if file.sealed != CIPHER {
            return Err(CannotOpen::OtherCipher);
        }
        if file.key != self.id() {
            return Err(CannotOpen::OtherKey);
        }
        let changed = |_| CannotOpen::Changed;
        let nonce = BASE64_STANDARD.decode(&file.nonce).map_err(changed)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| CannotOpen::Changed)?;
        let text = BASE64_STANDARD.decode(&file.text).map_err(changed)?;
        let context = format!("{CONTEXT}{id}");
        let payload = Payload { msg: &text, aad: context.as_bytes() };
        let cipher = self.cipher().map_err(|_| CannotOpen::Changed)?;
        let record = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| CannotOpen::Changed)?;
        Ok(Zeroizing::new(record))
    }

    fn cipher(&self) -> io::Result<XChaCha20Poly1305> {
        XChaCha20Poly1305::new_from_slice(self.bytes()).map_err(io::Error::other)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl SealedFile {
    /// Reads a file; `None` for one that says nothing about being sealed.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(format!("no random numbers: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_a_record_and_only_under_its_name() {
        let (key, other) = (SealingKey::random().unwrap(), SealingKey::random().unwrap());
        let file = key.seal("one", b"{\"a\":1}").unwrap();
        assert_eq!(key.open("one", &file).unwrap().as_slice(), b"{\"a\":1}");
        assert_eq!(key.open("two", &file), Err(CannotOpen::Changed));
        assert_eq!(other.open("one", &file), Err(CannotOpen::OtherKey));
        let lies = SealedFile { key: other.id(), ..key.seal("one", b"x").unwrap() };
        assert_eq!(other.open("one", &lies), Err(CannotOpen::Changed));
        let later = SealedFile { sealed: "more".to_owned(), ..key.seal("one", b"x").unwrap() };
        assert_eq!(key.open("one", &later), Err(CannotOpen::OtherCipher));
    }

    #[test]
    fn whatever_is_changed_in_a_file_is_noticed() {
        let key = SealingKey::random().unwrap();
        let text = serde_json::to_string(&key.seal("one", b"{\"a\":1}").unwrap()).unwrap();
        let mut opened = 0;
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            opened +=
                usize::from(SealedFile::read(&bytes).is_some_and(|file| key.open("one", &file).is_ok()));
        }
        assert_eq!(opened, 0);
    }

    #[test]
    fn no_two_writes_are_alike_and_no_debug_text_shows_a_key() {
        let key = SealingKey::random().unwrap();
        let [one, other] = [(); 2].map(|()| key.seal("one", b"the same").unwrap());
        assert!(one.nonce != other.nonce && one.text != other.text);
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
        let line = SealingKey::write_line(Some(&key));
        assert_eq!(SealingKey::read_line(line.as_bytes()).unwrap(), Some(key));
        assert_eq!(SealingKey::read_line(SealingKey::write_line(None).as_bytes()).unwrap(), None);
        for wrong in ["", "c2hvcnQ=\n", "?\n", line.trim_end()] {
            SealingKey::read_line(wrong.as_bytes()).unwrap_err();
        }
    }
}
