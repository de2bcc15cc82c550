//! What a process has from whatever started it and should not have: a daemon serves all clients, and must not be as the
//! first of them was. Its servers have everything from it.

use crate::sys;

/// Puts back what a client may have set for itself: signals that are ignored or blocked; and where the daemon is started in
/// passing, so that nobody chose it, a nice value other than 0 and soft limits of processor time, memory, file sizes and
/// processes, as far as that is allowed. What is left of them say [`niceness`] and [`crate::inspect::limits`].
///
/// The umask becomes 022 where it was looser, and stays where it was stricter. SIGHUP stays ignored, here and not in
/// servers, for who has that is to outlive the terminal (`nohup`). Before the first thread starts.
///
/// With SIGCHLD ignored, for instance, Python's `subprocess` takes every program for one that has succeeded.
pub fn shed(in_passing: bool) {
    sys::heritage::shed(in_passing);
}

/// For a process that starts others: how they end can be asked, also where its parent ignores the deaths of children. (The
/// standard library panics there when a program cannot be started.)
pub fn let_children_be_waited_for() {
    sys::heritage::let_children_be_waited_for();
}

/// The nice value of this process; above 0 it gets less of the processor than others. 0 on Windows.
pub fn niceness() -> i32 {
    sys::heritage::niceness()
}
