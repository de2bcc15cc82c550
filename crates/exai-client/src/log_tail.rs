//! The end of a log.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::limits::TAIL_WINDOW_BYTES;

/// The last `count` whole lines within the last 256 KiB of a file, and the length of the file.
pub fn last_lines(path: &Path, count: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_WINDOW_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_WINDOW_BYTES).read_to_end(&mut bytes)?;
    let end = from + bytes.len() as u64;
    Ok((last_of(&bytes, from == 0, count).to_vec(), end))
}

/// The last `count` lines of the end of a file. Unless `whole`, the first line of `bytes` may be cut and is left out.
fn last_of(bytes: &[u8], whole: bool, count: usize) -> &[u8] {
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes).len();
    let mut breaks = memchr::memrchr_iter(b'\n', &bytes[..end]);
    let start = match breaks.nth(count.saturating_sub(1)) {
        Some(at) => at + 1,
        None if whole => 0,
        None => memchr::memchr(b'\n', bytes).map_or(0, |at| at + 1),
    };
    if count == 0 { &[] } else { &bytes[start..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_from_the_end() {
        let text = b"one\ntwo\nthree\n";
        assert_eq!(last_of(text, true, 2), b"two\nthree\n");
        assert_eq!(last_of(text, true, 9), text);
        assert_eq!(last_of(text, false, 9), b"two\nthree\n");
        assert_eq!(last_of(b"a\nb", true, 1), b"b");
        assert_eq!(last_of(b"", true, 1), b"");
        assert_eq!(last_of(text, true, 0), b"");
    }
}
