//! How many descriptors this process may have, and whether few are left. Windows has no such limit.

use tokio::net::TcpStream;

use crate::sys;

/// How many descriptors this process may have open; `None` where there is no limit.
pub fn most() -> Option<u64> {
    sys::descriptors::most()
}

/// Whether fewer than `reserve` descriptors are left, by the number of a descriptor that was opened just now: the
/// system gives the lowest free number, so all below it are taken.
pub fn are_scarce(newest: &TcpStream, reserve: u64) -> bool {
    most().is_some_and(|most| sys::descriptors::number(newest).saturating_add(reserve) >= most)
}
