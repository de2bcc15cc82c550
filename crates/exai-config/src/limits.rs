//! Every bound of this crate: how long, how much, how many.

use std::time::Duration;

/// The longest `config.toml`, in bytes. A longer one is an error.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// How many servers of a text that is no TOML are looked at.
pub(crate) const MAX_SECTIONS: usize = 1000;
/// The longest name of a server. Clients prefix tools with `mcp__exai__` and allow 64 characters in all.
pub const MAX_SERVER_NAME_CHARS: usize = 24;
/// The longest name of an account of a server.
pub(crate) const MAX_ACCOUNT_NAME_CHARS: usize = 64;
/// How many accounts a server can have.
pub(crate) const MAX_ACCOUNTS: usize = 16;
/// The longest name of a client, in characters. The daemon keeps no more of the name that a client says.
pub(crate) const MAX_CLIENT_NAME_CHARS: usize = 128;
/// How many mistakes in what is chosen for one client are named.
pub(crate) const MAX_NAMED_MISTAKES: usize = 5;
/// The longest `secrets.toml`, in bytes.
pub(crate) const MAX_SECRETS_BYTES: u64 = 1 << 20;
/// The longest secret, in bytes: a key in PEM form has some 3000.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;
/// The longest name of a secret.
pub const MAX_SECRET_NAME_CHARS: usize = 64;
/// How many named tokens there can be. Each request that shows one is compared with all of them.
pub const MAX_NAMED_TOKENS: usize = 256;
/// The longest `tokens.json`, in bytes: that many have 55 KiB.
pub(crate) const MAX_TOKEN_FILE_BYTES: u64 = 128 * 1024;
/// How many hosts `allowed_hosts` can name.
pub(crate) const MAX_ALLOWED_HOSTS: usize = 32;
/// The longest name of a host, and of a part of it between dots (RFC 1035).
pub(crate) const MAX_HOST_CHARS: usize = 253;
pub(crate) const MAX_HOST_LABEL_CHARS: usize = 63;
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
/// The longest id of a model, or name of a member of a request, in characters.
pub(crate) const MAX_WORD_CHARS: usize = 256;
/// The longest name that a `[models.NAME]` table gives a model.
pub(crate) const MAX_MODEL_NAME_CHARS: usize = 64;
/// How many tokens a model can be said to take or to write.
pub(crate) const MAX_TOKENS: i64 = 100_000_000;
/// How many requests may be under way at one provider, at most and usually.
pub(crate) const MAX_CONCURRENCY: i64 = 64;
pub(crate) const USUAL_CONCURRENCY: i64 = 4;
/// How long a connection to a provider may take, usually.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer of a provider may pause, usually.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a request to a provider may take in all, usually.
pub(crate) const TOTAL_TIMEOUT: Duration = Duration::from_mins(15);
/// The longest of these that can be set.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);
/// How many paid calls one thread may make, at most and usually.
pub(crate) const MAX_PAID_CALLS: i64 = 100_000;
pub(crate) const USUAL_PAID_CALLS: u32 = 50;
/// How long a thread is kept after its last turn, usually and at most.
pub(crate) const KEEP_THREADS: Duration = Duration::from_hours(30 * 24);
pub(crate) const LONGEST_KEEP_THREADS: Duration = Duration::from_hours(3650 * 24);
