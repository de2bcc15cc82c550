//! Every bound of this room.

/// How long a file may be that is put before a model, in bytes.
pub const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;
/// How many files one call may put before a model, named and found together.
pub const MAX_FILES: usize = 500;
/// How long an image may be, in bytes.
pub const MAX_IMAGE_BYTES: u64 = 5 * 1024 * 1024;
/// How many images one call may put before a model.
pub const MAX_IMAGES: usize = 8;

/// How many paths one call may name.
pub(super) const MAX_PATHS: usize = MAX_FILES;
/// How many entries of directories one call looks at.
pub(super) const MAX_ENTRIES: usize = 2000;
/// How deep below a named directory files are looked for.
pub(super) const MAX_DEPTH: usize = 32;
/// How many of the found files that are left out are told one by one.
pub(super) const MAX_OMITTED: usize = 200;
/// How many of the files that are left out the model is told of.
pub(super) const MAX_TOLD: usize = 20;
/// How many of the largest files are named where the budget is too small.
pub(super) const MAX_LARGEST: usize = 5;
/// How long a path may be, in bytes: what Windows allows at most, and more than any other system.
pub(super) const MAX_PATH_BYTES: usize = 32 * 1024;
/// How much of a `.gitignore` counts, in bytes.
pub(super) const MAX_RULES_BYTES: u64 = 64 * 1024;
/// How many directories above one are asked for their `.gitignore`.
pub(super) const MAX_ABOVE: usize = 64;
/// How many sequences of bytes that are no UTF-8 a text may have, each of which is shown as `U+FFFD`.
pub(super) const MAX_INVALID_SEQUENCES: usize = 16;
/// Where in a file a zero is looked for, which no text has, in bytes from its beginning.
pub(super) const SNIFFED_BYTES: usize = 8 * 1024;
/// How much of a file is read before the interrupt is looked at again, in bytes.
pub(super) const PIECE_BYTES: u64 = 64 * 1024;
