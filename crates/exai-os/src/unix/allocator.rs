/// Buffers longer than this come from the system and go back to it, and no more free memory than this is kept at the
/// end of the heap. Messages of a mebibyte are ordinary and are faster in memory that was used before.
#[cfg(target_env = "gnu")]
const MAX_KEPT_BYTES: libc::c_int = 4 * 1024 * 1024;

pub(crate) fn give_back_long_buffers() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the calls take numbers and change what the allocator does from now on. They are made before the first thread
    // starts; a refusal leaves everything as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAX_KEPT_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MAX_KEPT_BYTES);
    }
}
