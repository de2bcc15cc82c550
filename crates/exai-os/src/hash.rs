//! Short stable names: the same in every build and process. They tell things apart; they protect nothing.

use std::path::Path;

/// 64 bits of FNV-1a.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// The hash of the path's bytes, as 16 hex digits, so that two daemons of one home meet at the same name.
pub(crate) fn of_path(path: &Path) -> String {
    format!("{:016x}", of_bytes(path.as_os_str().as_encoded_bytes()))
}
