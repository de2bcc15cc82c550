pub(crate) fn give_back() {
    #[cfg(target_os = "linux")]
    // SAFETY: the function gets what its contract says, and keeps nothing of it.
    unsafe {
        libc::dl_iterate_phdr(Some(give_back_of), std::ptr::null_mut());
    }
}

/// Gives back what the first object, which is the program itself, has in segments that nothing can write: its file still
/// has all of that. A segment that can be written holds addresses that the loader has put there.
///
/// # Safety
/// The loader calls this with the description of an object.
#[cfg(target_os = "linux")]
unsafe extern "C" fn give_back_of(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    use rustix::mm::{Advice, madvise};

    const STOP: libc::c_int = 1;
    // SAFETY: the loader passes a description that is valid until this returns.
    let object = unsafe { &*object };
    // SAFETY: the description holds the place and the number of the object's headers.
    let segments = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    for segment in segments {
        if segment.p_type != libc::PT_LOAD || segment.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = (object.dlpi_addr + segment.p_vaddr) as usize;
        let into_page = start % rustix::param::page_size();
        let pages = std::ptr::with_exposed_provenance_mut(start - into_page);
        // A refusal leaves everything as it was.
        // SAFETY: pages of a file that nothing has changed are read from it again when they are used.
        let _ = unsafe { madvise(pages, into_page + segment.p_memsz as usize, Advice::LinuxDontNeed) };
    }
    STOP
}
