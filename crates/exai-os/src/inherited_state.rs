//! What a process inherits from its starter and should not keep: a daemon serves all clients, and must not depend on
//! the first of them. Its servers inherit everything from it.

use crate::sys;

/// Resets what a client may have set for itself: signals that are ignored or blocked; and where the daemon is started
/// in passing, so that no person chose these, a nice value other than 0 and soft limits of processor time, memory,
/// file sizes and processes, as far as that is allowed. [`niceness`] and [`crate::inspect::limits`] tell what could
/// not be reset.
///
/// The umask becomes 022 where it was looser, and stays where it was stricter. SIGHUP stays ignored here and not in
/// servers, since a program that ignores it is meant to outlive the terminal (`nohup`). To be called before the first
/// thread starts.
///
/// With SIGCHLD ignored, for instance, Python's `subprocess` takes every program for one that has succeeded.
pub fn shed(in_passing: bool) {
    sys::inherited_state::shed(in_passing);
}

/// For a process that starts others: lets it wait for them even if its parent ignores the deaths of children. (The
/// standard library panics there when a program cannot be started.)
pub fn let_children_be_waited_for() {
    sys::inherited_state::let_children_be_waited_for();
}

/// The nice value of this process; above 0 it gets less of the processor than others. 0 on Windows.
pub fn niceness() -> i32 {
    sys::inherited_state::niceness()
}
