//! Checking and skipping JSON values.

use crate::limits;

/// Why a text is not one JSON value within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON at this byte.
    #[error("not valid JSON at byte {0}")]
    Syntax(usize),
    /// The text ends inside a value.
    #[error("the JSON text ends too early")]
    Incomplete,
    /// Objects and arrays are nested more than [`limits::DEPTH`] deep.
    #[error("nested more than {} deep", limits::DEPTH)]
    TooDeep,
}

/// The first byte at or after `at` that is not white space.
pub fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Checks the value that begins at `at` (no white space before it) and returns where it ends.
pub fn check_value(text: &[u8], at: usize) -> Result<usize, JsonError> {
    walk::<true>(text, at)
}

/// The same for a value that was checked before, or that some parser accepts although it is no JSON: the `NaN`,
/// `Infinity` and `-Infinity` that Python writes and reads count as numbers here.
pub fn skip_value(text: &[u8], at: usize) -> Result<usize, JsonError> {
    walk::<false>(text, at)
}

fn walk<const STRICT: bool>(text: &[u8], mut at: usize) -> Result<usize, JsonError> {
    // One bit per open container, lowest = innermost: 1 for an object, 0 for an array.
    let mut open: u128 = 0;
    let mut depth: u32 = 0;
    loop {
        // A value is due at `at`.
        match text.get(at).copied() {
            None => return Err(JsonError::Incomplete),
            Some(b'"') => at = skip_string(text, at)?,
            Some(container @ (b'{' | b'[')) => {
                if depth == limits::DEPTH {
                    return Err(JsonError::TooDeep);
                }
                let object = container == b'{';
                let next = skip_space(text, at + 1);
                let close = if object { b'}' } else { b']' };
                if text.get(next) == Some(&close) {
                    at = next + 1;
                } else {
                    open = open << 1 | u128::from(object);
                    depth += 1;
                    at = if object { skip_key(text, next)? } else { next };
                    continue;
                }
            }
            Some(b't') => at = skip_literal(text, at, b"true")?,
            Some(b'f') => at = skip_literal(text, at, b"false")?,
            Some(b'n') => at = skip_literal(text, at, b"null")?,
            Some(b'N') if !STRICT => at = skip_literal(text, at, b"NaN")?,
            Some(b'I') if !STRICT => at = skip_literal(text, at, b"Infinity")?,
            Some(b'-') if !STRICT && text.get(at + 1) == Some(&b'I') => {
                at = skip_literal(text, at, b"-Infinity")?;
            }
            Some(b'-' | b'0'..=b'9') => at = skip_number(text, at)?,
            Some(_) => return Err(JsonError::Syntax(at)),
        }
        // A value has ended at `at`: close containers until another value is due.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = skip_space(text, at);
            let object = open & 1 == 1;
            match text.get(at).copied() {
                None => return Err(JsonError::Incomplete),
                Some(b',') => {
                    at = skip_space(text, at + 1);
                    if object {
                        at = skip_key(text, at)?;
                    }
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                Some(_) => return Err(JsonError::Syntax(at)),
            }
            open >>= 1;
            depth -= 1;
            at += 1;
        }
    }
}

/// Skips `"key":` and the white space around it; returns where the member's value begins.
pub(super) fn skip_key(text: &[u8], at: usize) -> Result<usize, JsonError> {
    match text.get(at) {
        Some(b'"') => {}
        Some(_) => return Err(JsonError::Syntax(at)),
        None => return Err(JsonError::Incomplete),
    }
    let colon = skip_space(text, skip_string(text, at)?);
    match text.get(colon) {
        Some(b':') => Ok(skip_space(text, colon + 1)),
        Some(_) => Err(JsonError::Syntax(colon)),
        None => Err(JsonError::Incomplete),
    }
}

/// Whether a byte inside a string ends it, starts an escape, or is not allowed there.
#[expect(clippy::needless_bitwise_bool, reason = "lazy operators would keep the loop from being vectorised")]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

pub(super) fn skip_string(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut at = at + 1;
    loop {
        // Written so that the compiler turns one chunk into a few vector instructions.
        while let Some(chunk) = text.get(at..at + 32) {
            if chunk.iter().fold(false, |found, &byte| found | is_special(byte)) {
                break;
            }
            at += 32;
        }
        while let Some(&byte) = text.get(at) {
            if is_special(byte) {
                break;
            }
            at += 1;
        }
        match text.get(at) {
            None => return Err(JsonError::Incomplete),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = skip_escape(text, at)?,
            Some(_) => return Err(JsonError::Syntax(at)),
        }
    }
}

fn skip_escape(text: &[u8], at: usize) -> Result<usize, JsonError> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match text.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            Some(_) => Err(JsonError::Syntax(at)),
            None => Err(JsonError::Incomplete),
        },
        Some(_) => Err(JsonError::Syntax(at)),
        None => Err(JsonError::Incomplete),
    }
}

fn skip_literal(text: &[u8], at: usize, literal: &[u8]) -> Result<usize, JsonError> {
    if text[at..].starts_with(literal) { Ok(at + literal.len()) } else { Err(JsonError::Syntax(at)) }
}

fn skip_digits(text: &[u8], mut at: usize) -> Result<usize, JsonError> {
    let start = at;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(JsonError::Syntax(at)) }
}

fn skip_number(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut at = if text[at] == b'-' { at + 1 } else { at };
    // No leading zeros: after 0 comes no other digit.
    at = if text.get(at) == Some(&b'0') { at + 1 } else { skip_digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = skip_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = skip_digits(text, at)?;
    }
    Ok(at)
}
