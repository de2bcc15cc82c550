//! From what an agent calls a file to an absolute path, without a look at any file.

use std::path::{Component, Path, PathBuf};

use super::limits::MAX_PATH_BYTES;
use super::reason::Reason;
use super::uri::{self, HERE, Style};

/// The absolute path that an argument means, without `.` and `..`. A relative one is taken from `base`.
pub(super) fn absolute(argument: &str, base: Option<&Path>) -> Result<PathBuf, Reason> {
    if argument.is_empty() {
        return Err(Reason::InvalidPath("is empty"));
    }
    if argument.len() > MAX_PATH_BYTES {
        return Err(Reason::InvalidPath("is too long for a path"));
    }
    if argument.contains('\0') {
        return Err(Reason::InvalidPath("holds a zero character"));
    }
    let path = if uri::is_file_uri(argument) {
        PathBuf::from(uri::path_of(argument, HERE).map_err(Reason::InvalidPath)?)
    } else {
        PathBuf::from(argument)
    };
    let path = if path.is_absolute() { path } else { base.ok_or(Reason::Ambiguous)?.join(path) };
    if !path.is_absolute() {
        // `C:x` is relative to a directory of a drive that nobody knows.
        return Err(Reason::InvalidPath("is no whole path"));
    }
    let path = without_dots(&path);
    if HERE == Style::Windows && has_stream(&path) {
        return Err(Reason::InvalidPath("names a stream in a file"));
    }
    Ok(path)
}

/// Takes `..` as a step up in the text. What is behind a link is found out when the file is held.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                // At the root this does nothing, as it does nothing in the system.
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// On Windows `file:name` is another content of `file`, under a name that tells nothing.
fn has_stream(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part, Component::Normal(name) if name.to_string_lossy().contains(':')))
}

/// Whether the text of a path lies in a directory. Without regard to case, since some systems have none: this only
/// keeps what is plainly elsewhere from being touched.
pub(super) fn may_lie_in(path: &Path, directory: &Path) -> bool {
    let mut parts = path.components();
    directory.components().all(|expected| {
        parts.next().is_some_and(|part| part.as_os_str().eq_ignore_ascii_case(expected.as_os_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_absolute_and_plain() {
        let base = std::env::temp_dir();
        let at = |text: &str| absolute(text, Some(&base));
        assert_eq!(at("a/./b/../c"), Ok(base.join("a").join("c")));
        assert_eq!(at("名/ä b"), Ok(base.join("名").join("ä b")));
        assert_eq!(at("a/../../x"), Ok(base.parent().unwrap().join("x")));
        let most: PathBuf =
            base.components().take_while(|part| !matches!(part, Component::Normal(_))).collect();
        assert_eq!(at(&"../".repeat(99)), Ok(most));
        assert_eq!(absolute("a", None), Err(Reason::Ambiguous));
        assert!(matches!(at(""), Err(Reason::InvalidPath(_))));
        assert!(matches!(at("a\0b"), Err(Reason::InvalidPath(_))));
        assert!(matches!(at(&"x".repeat(MAX_PATH_BYTES + 1)), Err(Reason::InvalidPath(_))));
        assert!(matches!(at("file://server/x"), Err(Reason::InvalidPath("is on another machine"))));
        assert!(has_stream(Path::new("a/.env::$DATA")) && !has_stream(Path::new("/a/b")));
    }

    #[test]
    fn a_name_with_the_same_beginning_is_another_directory() {
        let lies = |path: &str, directory: &str| may_lie_in(Path::new(path), Path::new(directory));
        assert!(lies("/a/b/c", "/a/b") && lies("/a/b", "/a/b") && lies("/a", "/") && lies("/A/b", "/a"));
        assert!(!lies("/a/bc", "/a/b") && !lies("/a", "/a/b") && !lies("/b", "/a"));
    }
}
