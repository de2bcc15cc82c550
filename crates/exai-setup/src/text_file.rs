//! The bytes of a configuration file as text, and back.
//!
//! PowerShell writes UTF-16 and Notepad writes a byte order mark, so both are met in the files of every client on Windows.

use serde::{Deserialize, Serialize};

/// The most bytes that a configuration file may have.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// How the text of a file is written in bytes. It can be stored: an edit may have changed the encoding of a file that shall be
/// as it was again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8WithMark,
    /// UTF-16, little end first, with a byte order mark.
    Utf16LittleEnd,
    /// UTF-16, big end first, with a byte order mark.
    Utf16BigEnd,
}

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nobody's configuration is this long.
    #[error("the file has {bytes} bytes, more than the {MAX_FILE_BYTES} that a configuration may have")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The bytes are not what the byte order mark says, or no UTF-8 where there is none.
    #[error("the file is no text: byte {offset} does not fit its encoding, {encoding}")]
    NotText {
        /// Where the first wrong byte is, from 0.
        offset: usize,
        /// What the bytes should be.
        encoding: &'static str,
    },
}

/// The text of a file, and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// The text, with the line ends of the file and without a byte order mark.
    pub text: String,
    /// How it was written.
    pub encoding: Encoding,
}

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

impl TextFile {
    /// A file that does not exist yet: no text, UTF-8.
    pub fn empty() -> Self {
        TextFile { text: String::new(), encoding: Encoding::Utf8 }
    }

    /// Reads the text of a file from its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(DecodeError::TooLong { bytes: bytes.len() });
        }
        let (encoding, text) = match bytes {
            [0xFF, 0xFE, rest @ ..] => (
                Encoding::Utf16LittleEnd,
                decode_utf16(rest, "UTF-16 (little end first)", u16::from_le_bytes)?,
            ),
            [0xFE, 0xFF, rest @ ..] => {
                (Encoding::Utf16BigEnd, decode_utf16(rest, "UTF-16 (big end first)", u16::from_be_bytes)?)
            }
            [0xEF, 0xBB, 0xBF, rest @ ..] => (Encoding::Utf8WithMark, decode_utf8(rest, UTF8_MARK.len())?),
            _ => (Encoding::Utf8, decode_utf8(bytes, 0)?),
        };
        Ok(TextFile { text, encoding })
    }

    /// The bytes of `text` as this file writes them.
    ///
    /// A client that `rejects_mark` cannot read a byte order mark (nor UTF-16, which needs one), so it gets plain UTF-8. A
    /// text that is the text of this file is encoded as it was found all the same: what exai does not change stays.
    pub fn encode(&self, text: &str, rejects_mark: bool) -> Vec<u8> {
        let encoding = if rejects_mark && text != self.text { Encoding::Utf8 } else { self.encoding };
        match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf8WithMark => [UTF8_MARK, text.as_bytes()].concat(),
            Encoding::Utf16LittleEnd => encode_utf16(text, u16::to_le_bytes),
            Encoding::Utf16BigEnd => encode_utf16(text, u16::to_be_bytes),
        }
    }
}

fn decode_utf8(bytes: &[u8], skipped: usize) -> Result<String, DecodeError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(DecodeError::NotText { offset: skipped + error.valid_up_to(), encoding: "UTF-8" }),
    }
}

fn decode_utf16(
    bytes: &[u8],
    encoding: &'static str,
    unit: fn([u8; 2]) -> u16,
) -> Result<String, DecodeError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut offset = 2;
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let Ok(character) = decoded else { return Err(DecodeError::NotText { offset, encoding }) };
        offset += character.len_utf16() * 2;
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(DecodeError::NotText { offset, encoding }) }
}

fn encode_utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// The line end that a text uses first, for the lines that are added to it. A text of one line gets `\n`.
pub(crate) fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\r\n  \"ä\": \"😀\"\r\n}\r\n";

    fn bytes_of(encoding: Encoding) -> Vec<u8> {
        TextFile { text: TEXT.to_owned(), encoding }.encode(TEXT, false)
    }

    #[test]
    fn every_encoding_gives_its_bytes_back() {
        let all = [
            (Encoding::Utf8, &b"{\r\n "[..]),
            (Encoding::Utf8WithMark, b"\xEF\xBB\xBF{\r\n "),
            (Encoding::Utf16LittleEnd, b"\xFF\xFE{\0\r\0\n\0"),
            (Encoding::Utf16BigEnd, b"\xFE\xFF\0{\0\r\0\n"),
        ];
        for (encoding, start) in all {
            let bytes = bytes_of(encoding);
            assert!(bytes.starts_with(start), "{encoding:?}");
            let file = TextFile::decode(&bytes).unwrap();
            assert_eq!(file, TextFile { text: TEXT.to_owned(), encoding });
            assert_eq!(file.encode(&file.text, false), bytes);
        }
    }

    #[test]
    fn a_client_that_rejects_the_mark_gets_none_once_the_text_changes() {
        let file = TextFile::decode(&bytes_of(Encoding::Utf16LittleEnd)).unwrap();
        assert_eq!(file.encode("{}", true), b"{}");
        assert_eq!(file.encode(TEXT, true), bytes_of(Encoding::Utf16LittleEnd));
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        let wrong = |bytes: &[u8]| TextFile::decode(bytes).unwrap_err().to_string();
        assert_eq!(wrong(b"ab\xFF"), "the file is no text: byte 2 does not fit its encoding, UTF-8");
        assert_eq!(
            wrong(b"\xEF\xBB\xBFa\xFF"),
            "the file is no text: byte 4 does not fit its encoding, UTF-8"
        );
        assert!(wrong(b"\xFF\xFEa\0b").contains("byte 4"));
        assert!(wrong(b"\xFF\xFEa\0\x00\xD8").contains("byte 4"));
        assert!(wrong(&vec![b' '; MAX_FILE_BYTES + 1]).contains("16777217 bytes"));
    }
}
