//! A validating scanner over JSON text (RFC 8259). It checks, finds and skips; it never builds a tree and
//! never copies, so a message passes through exai as the bytes it came in.
//!
//! Strings are skipped 32 bytes at a time: messages of a mebibyte are ordinary (screenshots, files), and
//! they are one long string.

mod members;
mod scan;
mod splice;
mod strings;

pub use members::{Ambiguous, Member, Members, elements, find, find_path, find_sole_path};
pub use scan::{JsonError, check_value, skip_space, skip_value};
pub use splice::{Edit, splice};
pub use strings::{is_key, quote, resembles, string, unescaped};

#[cfg(test)]
mod tests;
