//! The hash by which a bundle is known.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The SHA-256 in small hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String never fails.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
