//! Which paths in a bundle are safe to write on every platform.

use std::collections::{HashMap, HashSet};

/// How long a path and one of its parts may be, in bytes, and how deep it may be.
const MAX_PATH_BYTES: usize = 1024;
const MAX_PART_BYTES: usize = 255;
const MAX_DEPTH: usize = 64;

/// Names that Windows gives to devices, with any extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Why a path is not safe, if it is not. The path is relative, with `/` between its parts.
pub(crate) fn find_danger(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Some("is empty or too long");
    }
    if path.starts_with('/') {
        return Some("is absolute");
    }
    // A colon is a drive or, on NTFS, a hidden stream; a backslash separates directories on Windows alone.
    if path.contains(['\\', ':']) {
        return Some("has a drive, a backslash or a colon");
    }
    if path.chars().any(char::is_control) {
        return Some("has a control character");
    }
    if path.split('/').count() > MAX_DEPTH {
        return Some("is too deep");
    }
    path.split('/').find_map(find_danger_of_part)
}

fn find_danger_of_part(part: &str) -> Option<&'static str> {
    match part {
        "" => return Some("has an empty part"),
        "." | ".." => return Some("climbs out of the bundle"),
        _ => {}
    }
    if part.len() > MAX_PART_BYTES {
        return Some("has a part that is too long");
    }
    // Windows drops these, so that `.. ` is `..`.
    if part.ends_with(['.', ' ']) {
        return Some("has a part that ends in a dot or a space");
    }
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let is_port = ["com", "lpt"].iter().any(|port| {
        let number = stem.strip_prefix(port).unwrap_or_default();
        let mut digits = number.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    });
    (is_port || DEVICES.contains(&stem.as_str())).then_some("has the name of a device of Windows")
}

/// The paths of a bundle, none of which may be in the way of another.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    files: HashSet<String>,
    /// Each directory without regard to case, and how it was written.
    directories: HashMap<String, String>,
}

impl Paths {
    /// Adds a path that is safe by itself; an error if another one is equal without regard to case, or is a file where
    /// this one needs a directory.
    pub(crate) fn add(&mut self, path: &str, is_directory: bool) -> Result<(), &'static str> {
        let mut end = 0;
        while let Some(length) = path.get(end..).and_then(|rest| rest.find('/')) {
            self.add_directory(path.get(..end + length).unwrap_or_default())?;
            end += length + 1;
        }
        if is_directory {
            return self.add_directory(path);
        }
        let folded = fold(path);
        if self.directories.contains_key(&folded) || !self.files.insert(folded) {
            return Err("is there twice, without regard to case");
        }
        Ok(())
    }

    fn add_directory(&mut self, path: &str) -> Result<(), &'static str> {
        let folded = fold(path);
        if self.files.contains(&folded) {
            return Err("is a file and a directory");
        }
        let written = self.directories.entry(folded).or_insert_with(|| path.to_owned());
        if written == path { Ok(()) } else { Err("is there twice, without regard to case") }
    }
}

/// Equal for names that a file system may take for the same.
fn fold(path: &str) -> String {
    // Upper and then lower, for letters that have several small forms (`ſ` and `s`).
    path.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_climb_out_or_are_special_are_dangerous() {
        for safe in [
            "manifest.json",
            "server/index.js",
            "a/.b/..c",
            "node_modules/@x/y/ä ö.js",
            "com",
            "com10",
            "console.js",
            "a/null",
        ] {
            assert_eq!(find_danger(safe), None, "{safe}");
        }
        let (long, deep) = ("a".repeat(256), "a/".repeat(64) + "a");
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "a/",
            "C:/x",
            "C:x",
            "a\\b",
            "..\\x",
            "\\\\server\\x",
            "a.js:stream",
            "a\0b",
            "a\nb",
            "a/.. /b",
            "a.",
            "a ",
            "nul",
            "NUL.txt",
            "x/Com1.js",
            "aux",
            "LPT9",
            "nul .x",
            &long,
            &deep,
        ] {
            assert!(find_danger(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn paths_must_not_be_in_the_way_of_each_other() {
        for (paths, is_good) in [
            (&["a", "b/c", "b/d"][..], true),
            (&["b/", "b/c", "b/"], true),
            (&["a", "A"], false),
            (&["a/x", "A/y"], false),
            (&["Ä", "ä"], false),
            (&["s", "ſ"], false),
            (&["a", "a/b"], false),
            (&["a/b", "a"], false),
            (&["a/", "a"], false),
            (&["a", "a"], false),
        ] {
            let mut all = Paths::default();
            let result: Result<(), _> =
                paths.iter().try_for_each(|path| all.add(path.trim_end_matches('/'), path.ends_with('/')));
            assert_eq!(result.is_ok(), is_good, "{paths:?}");
        }
    }
}
