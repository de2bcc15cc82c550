//! What the memory allocator does with what was freed.

use crate::sys;

/// Has long buffers given back to the system when they are freed. Before the first thread starts.
///
/// glibc keeps what is freed for the next time, up to twice the longest buffer there ever was: a daemon or a shim that
/// has carried one message of 30 MiB would keep 60 MiB for as long as it lives. Elsewhere nothing is changed.
pub fn give_back_long_buffers() {
    sys::allocator::give_back_long_buffers();
}
