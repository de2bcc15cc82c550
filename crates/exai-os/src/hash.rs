//! A short stable name for a path.

use std::path::Path;

/// 64 bits of FNV-1a over the path's bytes, as 16 hex digits: the same in every build and process, so
/// that two daemons of one home meet at the same name. It tells homes of one user apart; it protects
/// nothing.
pub(crate) fn of_path(path: &Path) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in path.as_os_str().as_encoded_bytes() {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
