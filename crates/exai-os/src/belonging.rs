//! What belongs to this account, and what a process shows of where it came from.
//!
//! Each of these is one piece of evidence and no proof: a process can put on any name and any environment.

use std::io;
use std::path::Path;

use crate::sys;

/// Whether this process runs as our account. `NotFound` for a process that is gone.
pub fn process_is_ours(pid: u32) -> io::Result<bool> {
    sys::belonging::process_is_ours(pid)
}

/// Whether this process runs the same program file as this one; on Linux also after it was replaced.
pub fn runs_our_program(pid: u32) -> io::Result<bool> {
    sys::belonging::runs_our_program(pid)
}

/// What a process was given as the environment variable `name` when its program started; `None` when it
/// has none, or one that is no UTF-8. `Unsupported` on macOS and Windows.
pub fn environment_value(pid: u32, name: &str) -> io::Result<Option<String>> {
    sys::belonging::environment_value(pid, name)
}

/// Whether the file at this path belongs to our account; of a link the link itself. Reads nothing of it
/// and waits for nobody.
pub fn file_is_ours(path: &Path) -> io::Result<bool> {
    sys::belonging::file_is_ours(path)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_shows_where_it_came_from() {
        let me = std::process::id();
        assert!(process_is_ours(me).unwrap() && runs_our_program(me).unwrap());
        let mut child = Command::new("sleep").arg("60").env("EXAI_OWNER", "a.b#1").spawn().unwrap();
        // `spawn` returns when the new program runs.
        assert_eq!(environment_value(child.id(), "EXAI_OWNER").unwrap().as_deref(), Some("a.b#1"));
        assert_eq!(environment_value(child.id(), "EXAI_OWNE").unwrap(), None);
        assert!(process_is_ours(child.id()).unwrap() && !runs_our_program(child.id()).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(process_is_ours(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_is_not_what_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert!(file_is_ours(&link).unwrap());
        assert!(file_is_ours(&dir.path().join("none")).is_err());
    }
}
