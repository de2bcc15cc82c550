//! Random names of threads and calls.

use std::fmt::Write as _;

/// The id of a new thread: a UUID of version 4 (RFC 9562).
pub(super) fn make_thread_id() -> String {
    let mut bytes: [u8; 16] = random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = hex(&bytes);
    for at in [8, 13, 18, 23] {
        id.insert(at, '-');
    }
    id
}

/// The reference of a new call. It is short, since agents repeat it, and looks unlike the id of a thread.
pub(super) fn make_reference() -> String {
    hex(&random::<8>())
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("BUG: the system has no randomness");
    bytes
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        let id = make_thread_id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>(), [8, 13, 18, 23]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_ne!(id, make_thread_id());
        assert_eq!(make_reference().len(), 16);
    }
}
