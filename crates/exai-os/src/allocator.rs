//! What the memory allocator does with freed memory.

use crate::sys;

/// Makes the allocator give long buffers back to the system when they are freed. To be called before the first thread
/// starts.
///
/// glibc keeps freed memory for the next time, up to twice the longest buffer that there ever was: a daemon or a shim
/// that has carried one message of 30 MiB would keep 60 MiB for as long as it lives. Elsewhere this changes nothing.
pub fn give_back_long_buffers() {
    sys::allocator::give_back_long_buffers();
}
