//! What a process has from whatever started it and should not have: a daemon serves all clients, and must not be as the
//! first of them was. Its servers have everything from it.

use crate::sys;

/// Puts back what a client may have set for itself: the umask (022), signals that are ignored or blocked, and with
/// `priority` a nice value other than 0, as far as that is allowed. Before the first thread starts.
///
/// With SIGCHLD ignored, for instance, Python's `subprocess` takes every program for one that has succeeded.
pub fn shed(priority: bool) {
    sys::heritage::shed(priority);
}

/// The nice value of this process; above 0 it gets less of the processor than others. 0 on Windows.
pub fn niceness() -> i32 {
    sys::heritage::niceness()
}
