//! Awaiting a handle without a thread of its own.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::sync::Arc;

use tokio::sync::Notify;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD, WT_EXECUTEONLYONCE,
};

/// Says once when a handle is signalled.
#[derive(Debug)]
pub(super) struct Signalled {
    wait: HANDLE,
    /// What the system's thread rings. Freed after the wait is over.
    bell: Arc<Notify>,
    /// Open as long as it is waited for.
    handle: OwnedHandle,
}

// SAFETY: the wait's handle may be used from any thread; it is used only to end the wait, once.
unsafe impl Send for Signalled {}
// SAFETY: as above.
unsafe impl Sync for Signalled {}

/// Runs on a thread of the system's.
unsafe extern "system" fn ring(bell: *mut c_void, _timed_out: bool) {
    // SAFETY: points to the bell of a `Signalled`, which outlives the wait.
    unsafe { &*bell.cast::<Notify>() }.notify_one();
}

impl Signalled {
    pub(super) fn new(handle: OwnedHandle) -> io::Result<Signalled> {
        let bell = Arc::new(Notify::new());
        let mut wait = std::ptr::null_mut();
        // SAFETY: an open handle, and a bell that lives until the wait is over: see `drop`.
        super::handle::check(unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                handle.as_raw_handle(),
                Some(ring),
                Arc::as_ptr(&bell).cast(),
                INFINITE,
                WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD,
            )
        })?;
        Ok(Signalled { wait, bell, handle })
    }

    pub(super) fn handle(&self) -> &OwnedHandle {
        &self.handle
    }

    /// Comes back once. Cancel safe.
    pub(super) async fn wait(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Signalled {
    fn drop(&mut self) {
        // SAFETY: the wait was registered, and is ended once. Waits for a ring that is under way, which takes no
        // lock that this thread could hold.
        unsafe { UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE) };
    }
}
