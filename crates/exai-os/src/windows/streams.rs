use std::io;

use crate::streams::Which;

/// Streams that do not block are a matter of Unix.
pub(crate) fn wait(_which: Which) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
