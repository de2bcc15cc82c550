//! What is in a file.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exai_os::place::Place;
use sha2::{Digest as _, Sha256};

use super::interrupt::Interrupt;
use super::limits::{MAX_FILE_BYTES, MAX_INVALID_SEQUENCES, PIECE_BYTES, SNIFFED_BYTES};
use super::reason::{Failure, Reason};

/// The text of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    /// The SHA-256 of the file's bytes, in Base64.
    pub(super) digest: String,
}

/// Reads a file whole, which may have at most `most` bytes.
pub(super) fn read_bytes(place: &Place, most: u64, interrupt: &Interrupt<'_>) -> Result<Vec<u8>, Failure> {
    let mut file = place.open()?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(Reason::FileTooLarge { bytes: length, most }.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    loop {
        interrupt.check()?;
        let before = bytes.len();
        file.by_ref().take(PIECE_BYTES).read_to_end(&mut bytes)?;
        if bytes.len() == before {
            return Ok(bytes);
        }
        // It grows while it is read.
        if bytes.len() as u64 > most {
            return Err(Reason::FileTooLarge { bytes: bytes.len() as u64, most }.into());
        }
    }
}

/// Reads a text.
pub(super) fn read_text(place: &Place, interrupt: &Interrupt<'_>) -> Result<Text, Failure> {
    let bytes = read_bytes(place, MAX_FILE_BYTES, interrupt)?;
    let text = decode(&bytes).ok_or(Reason::Binary)?;
    let digest = STANDARD.encode(Sha256::digest(&bytes));
    Ok(Text { text, digest })
}

/// The text of these bytes, if they are one. A mark of the byte order, which says nothing in UTF-8, is left out.
fn decode(bytes: &[u8]) -> Option<String> {
    if bytes[..bytes.len().min(SNIFFED_BYTES)].contains(&0) {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('\u{FFFD}');
            invalid += 1;
            if invalid > MAX_INVALID_SEQUENCES {
                return None;
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_from_other_bytes() {
        assert_eq!(decode(b"").as_deref(), Some(""));
        assert_eq!(decode("\u{FEFF}ä名\r\n".as_bytes()).as_deref(), Some("ä名\r\n"));
        assert_eq!(decode(b"Stra\xDFe").as_deref(), Some("Stra\u{FFFD}e"));
        assert_eq!(decode(&b"\xDF ".repeat(MAX_INVALID_SEQUENCES)).map(|text| text.len()), Some(64));
        assert_eq!(decode(&b"\xDF ".repeat(MAX_INVALID_SEQUENCES + 1)), None);
        assert_eq!(decode(b"a\0b"), None);
        assert_eq!(decode(b"\xFF\xFEa\0b\0"), None);
    }
}
