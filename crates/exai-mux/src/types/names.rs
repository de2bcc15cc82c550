//! Names on the aggregated endpoint: `server__tool`.

use crate::limits::MAX_AGGREGATED_NAME_CHARS;
use crate::types::account;

/// The separator of server and tool. Names of servers never hold it, so the first one splits.
pub const SEPARATOR: &str = "__";

/// The aggregated name of a tool or prompt of a server. A name that would be too long is cut, and ends in `_` and six
/// hexadecimal digits of a hash of the whole name.
pub fn aggregated(server: &str, name: &str) -> String {
    // The account does not show: which one it is depends on the client.
    let full = format!("{}{SEPARATOR}{name}", account::split(server).0);
    if full.chars().count() <= MAX_AGGREGATED_NAME_CHARS {
        return full;
    }
    let kept: String = full.chars().take(MAX_AGGREGATED_NAME_CHARS - 7).collect();
    format!("{kept}_{:06x}", fnv1a(full.as_bytes()) & 0xff_ffff)
}

/// Splits an aggregated name into server and tool. A cut name gives a cut tool name.
pub fn split(aggregated: &str) -> Option<(&str, &str)> {
    aggregated.split_once(SEPARATOR)
}

/// Whether an aggregated name may be a cut one.
pub fn may_be_cut(aggregated: &str) -> bool {
    aggregated.chars().count() == MAX_AGGREGATED_NAME_CHARS
}

/// FNV-1a, folded: stable between builds, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_the_first_separator_and_long_ones_are_cut() {
        assert_eq!(aggregated("fs", "read__file"), "fs__read__file");
        assert_eq!(split("fs__read__file"), Some(("fs", "read__file")));
        assert_eq!(split("plain"), None);
        let long = "x".repeat(60);
        let (one, two) = (aggregated("s", &long), aggregated("s", &format!("{long}y")));
        assert_eq!((one.len(), two.len()), (MAX_AGGREGATED_NAME_CHARS, MAX_AGGREGATED_NAME_CHARS));
        assert_ne!(one, two);
        assert!(one.starts_with("s__xxx") && may_be_cut(&one));
        assert_eq!(one.as_bytes()[MAX_AGGREGATED_NAME_CHARS - 7], b'_');
        assert_eq!(aggregated("s", &"x".repeat(50)).len(), MAX_AGGREGATED_NAME_CHARS);
    }
}
