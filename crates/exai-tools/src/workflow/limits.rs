//! How much one call may say. Everything that a client sends is checked against these bounds.

/// The longest text of one field, in bytes. Longer texts belong into a file.
pub(super) const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The most entries of one list.
pub(super) const MAX_LIST_ENTRIES: usize = 1000;

/// The longest entry of a list, in bytes: a path, the name of a function. Fields with longer ones say so in their spec.
pub(super) const MAX_ENTRY_BYTES: usize = 4096;

/// The largest entry of `issues_found`, in bytes of JSON.
pub(super) const MAX_ISSUE_BYTES: usize = 64 * 1024;

/// The most models of one consensus.
pub(super) const MAX_MODELS: usize = 8;

/// How much of a wrong value an error shows, in characters.
pub(super) const MAX_SHOWN_CHARS: usize = 60;

/// The longest part of a request to an expert, in bytes; of a longer one the newest entries stay.
pub(super) const MAX_PART_BYTES: usize = 4 * 1024 * 1024;

/// The longest summary of the work in an answer, in bytes. The agent knows its own work; the summary is for an agent that
/// takes over.
pub(super) const MAX_SUMMARY_BYTES: usize = 16 * 1024;
