//! Which files a client may have read, and how they are put before a model.
//!
//! Everything here blocks, and belongs on a thread that may. An [`Interrupt`] is looked at before each file, each
//! directory and each piece of a long file. What it cannot end is one call to the operating system: where the server of
//! a network file system is silent, that call takes as long as the system lets it. So whoever waits for the thread
//! keeps a deadline of its own, and lets the thread go.
//!
//! What is read is decided twice ([`FileAccess`]). A path must lie in a directory that may be read, as text, before
//! anything is touched. Then what is there is held, the system is asked where it really is, and the very thing that was
//! asked about is read. A hard link to a file elsewhere cannot be told from the file, and is read.

mod access;
mod address;
mod block;
mod budget;
mod collect;
mod content;
mod embedded;
mod expand;
mod ignore_rules;
mod images;
mod interrupt;
mod limits;
mod reason;
mod secrets;
mod shown;
mod uri;

pub use access::{Directory, FileAccess, Offered, Places, SkippedRoot, Source};
pub use budget::{Budget, budget};
pub use collect::{Wanted, collect};
pub use embedded::{Embedded, EmbeddedFile, Omitted, TooLarge};
pub use images::{Images, collect_images};
pub use interrupt::{Interrupt, Interrupted};
pub use limits::{MAX_FILE_BYTES, MAX_FILES, MAX_IMAGE_BYTES, MAX_IMAGES};
pub use reason::Reason;
