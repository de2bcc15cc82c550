//! Arguments and environment in the form that CreateProcessW takes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt as _;

use super::handle::wide;

/// The command line from which the C runtime (and Rust's) reads back exactly these arguments. The
/// program's own name cannot hold quotes: no file name can.
pub(super) fn join(exe: &OsStr, args: &[OsString]) -> io::Result<Vec<u16>> {
    let mut line: Vec<u16> = Vec::new();
    line.push(u16::from(b'"'));
    line.extend(exe.encode_wide());
    line.push(u16::from(b'"'));
    for arg in args {
        line.push(u16::from(b' '));
        quote(arg, &mut line);
    }
    if line.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an argument holds a zero character"));
    }
    line.push(0);
    Ok(line)
}

/// Backslashes mean themselves, unless a quote follows: then they are doubled.
fn quote(arg: &OsStr, line: &mut Vec<u16>) {
    let mut backslashes = 0;
    line.push(u16::from(b'"'));
    for unit in arg.encode_wide() {
        if unit == u16::from(b'\\') {
            backslashes += 1;
        } else {
            if unit == u16::from(b'"') {
                line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes + 1));
            }
            backslashes = 0;
        }
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes));
    line.push(u16::from(b'"'));
}

/// `NAME=value` texts, each ended by a zero, and one zero more; sorted by name, as the system expects.
pub(super) fn environment(vars: &[(OsString, OsString)]) -> io::Result<Vec<u16>> {
    let mut sorted: Vec<_> = vars.iter().collect();
    sorted.sort_by_key(|(name, _)| name.to_ascii_uppercase());
    let mut block = Vec::new();
    for (name, value) in sorted {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        block.extend(wide(entry)?);
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_the_runtime_unquotes() {
        let args = ["plain", "", "with space", "a\"b", "end\\", "\\\"", "c:\\dir\\"].map(OsString::from);
        let line = join(OsStr::new("c:\\my dir\\exai.exe"), &args).unwrap();
        let text = String::from_utf16(&line[..line.len() - 1]).unwrap();
        let expected = concat!(
            r#""c:\my dir\exai.exe" "plain" "" "with space" "a\"b" "end\\" "#,
            r#""\\\"" "c:\dir\\""#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn environment_is_sorted_and_ended() {
        let vars = [("b", "2"), ("A", "1")].map(|(name, value)| (name.into(), value.into()));
        let block = String::from_utf16(&environment(&vars).unwrap()).unwrap();
        assert_eq!(block, "A=1\0b=2\0\0");
        assert_eq!(environment(&[]).unwrap(), [0, 0]);
    }
}
