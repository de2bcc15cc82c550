//! Arguments and environment in the form that CreateProcessW takes, and back.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{LocalFree, UNICODE_STRING};
use windows_sys::Win32::UI::Shell::CommandLineToArgvW;

use super::handle::{check_status, until_zero, wide};

/// A command line has 32,767 units at most. The answer is a `UNICODE_STRING` with its text behind it; whole
/// numbers of 64 bits are aligned well enough for it.
const ANSWER: usize = size_of::<UNICODE_STRING>().div_ceil(8) + 32_768 * 2 / 8;

/// The command line that a process was started with, as it was given. The handle needs
/// `PROCESS_QUERY_LIMITED_INFORMATION`.
pub(super) fn of(process: &OwnedHandle) -> io::Result<Vec<u16>> {
    let mut answer = vec![0_u64; ANSWER];
    let size = (answer.len() * size_of::<u64>()) as u32;
    let mut written = 0;
    // SAFETY: an open handle, and a buffer of the size given.
    check_status(unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            ProcessCommandLineInformation,
            answer.as_mut_ptr().cast(),
            size,
            &raw mut written,
        )
    })?;
    // SAFETY: the call succeeded, so the buffer, which is aligned for it, begins with such a structure.
    let text = unsafe { answer.as_ptr().cast::<UNICODE_STRING>().read() };
    if text.Buffer.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: its text is in the same buffer, `Length` bytes long.
    Ok(unsafe { std::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2) }.to_vec())
}

/// The arguments that the C runtime reads from a command line. Units that are no Unicode are replaced.
pub(super) fn split(line: &[u16]) -> io::Result<Vec<String>> {
    if line.is_empty() {
        return Ok(Vec::new()); // the function would answer with our own program
    }
    let line: Vec<u16> = line.iter().copied().chain([0]).collect();
    let mut count = 0;
    // SAFETY: a text that ends with a zero, and a place for a number.
    let array = unsafe { CommandLineToArgvW(line.as_ptr(), &raw mut count) };
    if array.is_null() {
        return Err(io::Error::last_os_error());
    }
    let at = |index: usize| {
        // SAFETY: the array has `count` texts, each ended by a zero, until it is freed below.
        let text = unsafe { until_zero(*array.add(index)) };
        String::from_utf16_lossy(text)
    };
    let all = (0..usize::try_from(count).unwrap_or_default()).map(at).collect();
    // SAFETY: the array is ours to free, once, and nothing borrows from it any more.
    unsafe { LocalFree(array.cast()) };
    Ok(all)
}

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

/// The file to run and its command line. Batch files are programs of cmd.exe, which reads their lines by rules of
/// its own.
pub(super) fn of_program(file: &Path, args: &[OsString]) -> io::Result<(PathBuf, Vec<u16>)> {
    // As the system sees it, which takes dots and spaces from the end of a name: what it gives to cmd.exe must not be
    // quoted for any other program (CVE-2024-43402).
    let name = file.to_string_lossy();
    let extension = Path::new(name.trim_end_matches(['.', ' '])).extension();
    let is_batch = |own: &OsStr| ["bat", "cmd"].iter().any(|batch| own.eq_ignore_ascii_case(batch));
    if !extension.is_some_and(is_batch) {
        return Ok((file.to_owned(), join(file.as_os_str(), args)?));
    }
    let cmd = super::account::system_directory()?.join("cmd.exe");
    let line = batch(cmd.as_os_str(), file, args)?;
    Ok((cmd, line))
}

/// `cmd.exe /e:on /v:off /d /c "FILE ARGUMENTS"`: extensions on, since `%cd:~,%` needs them, `!` without meaning, and
/// no commands of the registry before ours. Between quotes only `%` and `"` mean something to cmd: the one becomes a
/// `%` before a variable that is there and of which nothing is taken, the other is doubled.
fn batch(cmd: &OsStr, file: &Path, args: &[OsString]) -> io::Result<Vec<u16>> {
    let unit = |character: char| character as u16;
    let mut line: Vec<u16> = Vec::new();
    line.push(unit('"'));
    line.extend(cmd.encode_wide());
    line.extend("\" /e:on /v:off /d /c \"".encode_utf16());
    for (at, word) in std::iter::once(file.as_os_str()).chain(args.iter().map(|arg| &**arg)).enumerate() {
        if at > 0 {
            line.push(unit(' '));
        }
        line.push(unit('"'));
        let mut backslashes = 0;
        for one in word.encode_wide() {
            match char::from_u32(u32::from(one)) {
                // Lines end here, whatever is around it.
                Some('\r' | '\n' | '\0') => {
                    let sentence = "an argument of a batch file cannot hold a line break or a zero character";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
                }
                Some('%') => line.extend("%%cd:~,".encode_utf16()),
                // The program that gets the argument from the batch file reads it as the C runtime does.
                Some('"') => line.extend(std::iter::repeat_n(unit('\\'), backslashes).chain([unit('"')])),
                _ => {}
            }
            backslashes = if one == unit('\\') { backslashes + 1 } else { 0 };
            line.push(one);
        }
        line.extend(std::iter::repeat_n(unit('\\'), backslashes));
        line.push(unit('"'));
    }
    line.extend([unit('"'), 0]);
    Ok(line)
}

/// Only what needs quotes has them, since not every program reads its line as the C runtime does: wsl.exe knows no
/// option in quotes, and `cmd /c "…"` takes the outer ones off. Backslashes mean themselves, unless a quote follows: then
/// they are doubled.
fn quote(arg: &OsStr, line: &mut Vec<u16>) {
    let special = |unit: u16| [b' ', b'\t', b'\n', 0x0b, b'"'].map(u16::from).contains(&unit);
    if !arg.is_empty() && !arg.encode_wide().any(special) {
        line.extend(arg.encode_wide());
        return;
    }
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
        let expected =
            concat!(r#""c:\my dir\exai.exe" plain "" "with space" "a\"b" end\ "#, r#""\\\"" c:\dir\"#);
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_joined_is_split_again() {
        let args = ["plain", "", "with space", "a\"b", "end\\", "\\\""].map(OsString::from);
        let line = join(OsStr::new("c:\\my dir\\exai.exe"), &args).unwrap();
        let all = split(&line[..line.len() - 1]).unwrap();
        assert_eq!(all, ["c:\\my dir\\exai.exe", "plain", "", "with space", "a\"b", "end\\", "\\\""]);
        assert!(split(&[]).unwrap().is_empty());
    }

    #[test]
    fn nothing_that_a_batch_file_is_given_is_a_command() {
        let args = ["plain", "", "a b&c|d>e^f!g", "100%PATH%", "a\\\"&calc", "end\\"].map(OsString::from);
        let line = batch(OsStr::new("c:\\cmd.exe"), Path::new("c:\\my dir\\x.cmd"), &args).unwrap();
        let text = String::from_utf16(&line[..line.len() - 1]).unwrap();
        let expected = concat!(
            r#""c:\cmd.exe" /e:on /v:off /d /c ""c:\my dir\x.cmd" "plain" "" "a b&c|d>e^f!g" "#,
            r#""100%%cd:~,%PATH%%cd:~,%" "a\\""&calc" "end\\"""#
        );
        assert_eq!(text, expected);
        for bad in ["a\nb", "a\rb", "a\0b"] {
            assert!(batch(OsStr::new("c"), Path::new("x.cmd"), &[bad.into()]).is_err());
        }
    }

    #[test]
    fn a_batch_file_is_known_by_the_name_that_the_system_sees() {
        for name in ["x.cmd", "x.BAT", "x.bat ", "x.cmd. ."] {
            let (program, _) = of_program(Path::new(name), &[]).unwrap();
            assert!(program.ends_with("cmd.exe"), "{name}");
        }
        for name in ["x.exe", "x.cmd.exe", "cmd", "bat"] {
            assert_eq!(of_program(Path::new(name), &[]).unwrap().0, Path::new(name));
        }
    }

    #[test]
    fn our_own_command_line_is_ours() {
        let all = crate::process::command_line(std::process::id()).unwrap();
        assert_eq!(all, std::env::args().collect::<Vec<String>>());
    }

    #[test]
    fn environment_is_sorted_and_ended() {
        let vars = [("b", "2"), ("A", "1")].map(|(name, value)| (name.into(), value.into()));
        let block = String::from_utf16(&environment(&vars).unwrap()).unwrap();
        assert_eq!(block, "A=1\0b=2\0\0");
        assert_eq!(environment(&[]).unwrap(), [0, 0]);
    }
}
