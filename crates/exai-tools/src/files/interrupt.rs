//! When to stop reading.

use std::time::Instant;

use crate::explain::Explain;

/// What ends the reading of files before its time.
#[derive(Clone, Copy)]
pub struct Interrupt<'a> {
    /// Whether the call is cancelled. Asked often: it should be quick.
    pub is_cancelled: &'a dyn Fn() -> bool,
    /// When the reading must be done.
    pub deadline: Option<Instant>,
}

/// Why the reading ended before its time. Nothing of it is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The call is cancelled.
    #[error("the call was cancelled while its files were read")]
    Cancelled,
    /// The deadline has passed.
    #[error("the files took too long to read; nothing was sent to a model")]
    Late,
}

impl Interrupt<'_> {
    /// An error if there is a reason to stop.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if (self.is_cancelled)() {
            return Err(Interrupted::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Interrupted::Late),
            _ => Ok(()),
        }
    }
}

impl Explain for Interrupted {
    fn code(&self) -> &'static str {
        match self {
            Interrupted::Cancelled => "cancelled",
            Interrupted::Late => "files_too_slow",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Interrupted::Cancelled => None,
            Interrupted::Late => {
                Some("Name fewer files, or files that are not on a network file system.".to_owned())
            }
        }
    }
}
