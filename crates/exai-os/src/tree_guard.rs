//! The guard's own main function: see [`crate::tree`].
//!
//! # The guard's conversation
//!
//! Over the socket `--control N`, an inherited descriptor. First comes what to start: length-prefixed byte
//! strings (lengths are 4 bytes, little endian): the kill scope (`descendants` or `group`), the descent tag, the working
//! directory, the program, the number of arguments and the arguments, the number of variables and their names and
//! values. Then one byte each: `t` asks the tree to end, `k` ends it by force. The end of the socket means `k`.
//!
//! The root, forked and not its own program yet, says `root PID` and waits for a byte `g`: by then the daemon has
//! written down its identity. At the end of the socket it ends instead.
//!
//! The guard answers in lines: `started`, or `failed ERRNO` and it ends; `code N` or `signal N` when the
//! root has exited; after `k` `empty`, or `left PID…`, and it ends.

use std::io;

use crate::sys;

/// The argument before the number of the control socket.
pub const CONTROL_ARGUMENT: &str = "--control";

/// Runs the guard in this process, which must have one thread. `Unsupported` on Windows, `InvalidInput` when
/// `control` names no socket that was handed to this process.
pub fn run(control: &str) -> io::Result<()> {
    sys::tree_guard::run(control)
}
