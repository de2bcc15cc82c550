//! What belongs to this account and to this program. Other facts about a process are in [`crate::process_facts`].

use std::io;
use std::path::Path;

use crate::sys;

/// Whether this process runs as our account. `NotFound` for a process that is gone.
pub fn process_is_ours(pid: u32) -> io::Result<bool> {
    sys::ownership::process_is_ours(pid)
}

/// Whether this process runs the same program file as this one; on Linux also after it was replaced.
pub fn runs_our_program(pid: u32) -> io::Result<bool> {
    sys::ownership::runs_our_program(pid)
}

/// Whether the file at this path belongs to our account; for a link, the link itself. Does not read the file and
/// never waits.
pub fn file_is_ours(path: &Path) -> io::Result<bool> {
    sys::ownership::file_is_ours(path)
}

#[cfg(all(test, any(target_os = "linux", windows)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_shows_where_it_came_from() {
        let me = std::process::id();
        assert!(process_is_ours(me).unwrap() && runs_our_program(me).unwrap());
        let mut child = exai_test::sleeper().spawn().unwrap();
        assert!(process_is_ours(child.id()).unwrap() && !runs_our_program(child.id()).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        // Windows knows an ended process as long as this test has its handle.
        if !cfg!(windows) {
            assert_eq!(process_is_ours(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_is_not_what_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert!(file_is_ours(&link).unwrap());
        assert!(file_is_ours(&dir.path().join("none")).is_err());
    }
}
