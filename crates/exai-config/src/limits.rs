//! Every bound of this crate: how long, how much, how many.

use std::time::Duration;

/// The longest `config.toml`, in bytes. A longer one is an error.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// How many servers of a text that is no TOML are looked at.
pub(crate) const MAX_SECTIONS: usize = 1000;
/// The longest name of a server. Clients prefix tools with `mcp__exai__` and allow 64 characters in all.
pub const MAX_SERVER_NAME_CHARS: usize = 24;
/// The longest `secrets.toml`, in bytes.
pub(crate) const MAX_SECRETS_BYTES: u64 = 1 << 20;
/// The longest secret, in bytes: a key in PEM form has some 3000.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;
/// The longest name of a secret.
pub const MAX_SECRET_NAME_CHARS: usize = 64;
/// How long an edit waits for other edits. Each takes milliseconds.
pub(crate) const EDIT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How many copies of good configurations are kept.
pub(crate) const MAX_COPIES: usize = 5;
/// How long the search for other daemons may take: a directory may be on a file system that does not answer.
pub(crate) const ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(1);
/// How many state directories of other daemons are looked at.
pub(crate) const MAX_HOMES: usize = 256;
/// How many state directories of other daemons are named in a sentence.
pub(crate) const NAMED_HOMES: usize = 3;
