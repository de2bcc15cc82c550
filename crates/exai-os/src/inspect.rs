//! Looking without touching: facts about files, directories, limits and other processes, for a search for problems.
//! Nothing here creates, changes, opens for writing, waits or signals.

use std::io;
use std::path::Path;

use crate::sys;

/// What is at a path. Links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its owner, in words; `None` when it is this account.
    pub foreign_owner: Option<String>,
    /// The permission bits (Unix); `None` on Windows, where access lists decide.
    pub mode: Option<u32>,
    /// Whether another account may read, enter or change it. On Windows only directories are checked, since files
    /// inherit access from their directory. The system and administrators have access to everything and do not count.
    pub open_to_others: bool,
    /// Its length in bytes.
    pub length: u64,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, or its like on Windows.
    Link,
    /// A named pipe (FIFO).
    Pipe,
    /// A socket.
    Socket,
    /// A device or something else.
    Other,
}

impl EntryKind {
    /// The kind in words, with its article.
    pub fn in_words(self) -> &'static str {
        match self {
            EntryKind::File => "a regular file",
            EntryKind::Directory => "a directory",
            EntryKind::Link => "a symbolic link",
            EntryKind::Pipe => "a named pipe",
            EntryKind::Socket => "a socket",
            EntryKind::Other => "a device",
        }
    }
}

/// The entry at `path`. `NotFound` where there is none.
pub fn entry(path: &Path) -> io::Result<Entry> {
    sys::inspect::entry(path)
}

/// The kind of network file system that the directory is on (`nfs`, `smb`, …); `None` when it is local.
pub fn network_filesystem(directory: &Path) -> io::Result<Option<String>> {
    sys::inspect::network_filesystem(directory)
}

/// Whether this account may create files in the directory; asked, not tried. On Windows only the read-only
/// attribute is looked at.
pub fn is_writable(directory: &Path) -> bool {
    sys::inspect::is_writable(directory)
}

/// The free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this account may still write.
    pub bytes: u64,
    /// Files that can still be created; `None` where the file system has no such limit.
    pub files: Option<u64>,
}

/// The free space of the file system of `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    sys::inspect::space(path)
}

/// What the system lets a process of this account have. `None`: no limit, or not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Open descriptors at most; the daemon raises its own limit up to this.
    pub descriptors: Option<u64>,
    /// Processes and threads of this account at most.
    pub processes: Option<u64>,
    /// Seconds of processor time at most, after which a process is ended.
    pub processor_seconds: Option<u64>,
    /// Bytes in one file at most.
    pub file_bytes: Option<u64>,
    /// Bytes of memory, in addresses, that one process may have at most.
    pub memory_bytes: Option<u64>,
    /// Bytes in pipes of this account, beyond which new pipes are small (Linux, without privileges).
    pub pipe_bytes: Option<u64>,
}

/// Each server takes three descriptors, each client one or two.
const FEW_DESCRIPTORS: u64 = 1024;
const FEW_PROCESSES: u64 = 256;
/// How much address space a runtime of JavaScript or Python reserves and may use.
const FEW_BYTES: u64 = 4 << 30;

impl Limits {
    /// The limits that are too low for a daemon and its servers, in words: `256 open files`.
    pub fn shortages(&self) -> Vec<String> {
        let few = |most: Option<u64>, enough: u64, what: &str| {
            most.filter(|most| *most < enough).map(|most| format!("{most} {what}"))
        };
        let mib = |most: Option<u64>| most.map(|bytes| bytes >> 20);
        let all = [
            few(self.descriptors, FEW_DESCRIPTORS, "open files"),
            few(self.processes, FEW_PROCESSES, "processes"),
            few(self.processor_seconds, u64::MAX, "s of processor time"),
            few(mib(self.file_bytes), FEW_BYTES >> 20, "MiB in a file"),
            few(mib(self.memory_bytes), FEW_BYTES >> 20, "MiB of memory in a process"),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The limits of this process, as far as it may raise them.
pub fn limits() -> Limits {
    sys::inspect::limits()
}

/// The limits of another process, as they are in force there. `Unsupported` without Linux's /proc.
pub fn limits_of(pid: u32) -> io::Result<Limits> {
    sys::inspect::limits_of(pid)
}

/// Whether the process runs as this account. An error when it is gone or may not be asked.
pub fn is_of_this_account(pid: u32) -> io::Result<bool> {
    sys::inspect::is_of_this_account(pid)
}

/// The state of the file that a process executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFile {
    /// It is still there.
    Same,
    /// Its path leads to another file now.
    Replaced,
    /// Its path leads nowhere any more.
    Deleted,
}

/// The state of the file that the process executes. `Unsupported` without Linux's /proc.
pub fn program_file(pid: u32) -> io::Result<ProgramFile> {
    sys::inspect::program_file(pid)
}

/// Whether the process is halted by a signal (SIGSTOP, a debugger): it lives and does nothing.
/// `Unsupported` without Linux's /proc.
pub fn is_halted(pid: u32) -> io::Result<bool> {
    sys::inspect::is_halted(pid)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn entries_are_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "four").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link");
        symlink(&file, &link).unwrap();
        let fifo = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let found = entry(&file).unwrap();
        assert_eq!((found.kind, found.mode, found.length), (EntryKind::File, Some(0o640), 4));
        assert_eq!(found.foreign_owner, None);
        for (path, kind) in
            [(dir.path(), EntryKind::Directory), (&link, EntryKind::Link), (&fifo, EntryKind::Pipe)]
        {
            assert_eq!(entry(path).unwrap().kind, kind);
        }
        assert_eq!(entry(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(is_writable(dir.path()));
        assert!(space(dir.path()).unwrap().bytes > 0);
    }

    #[test]
    fn processes_are_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let pid = child.id();
        // Before the child executes the program, the kernel still shows this test's program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while crate::process::executable(pid).unwrap() != program {
            assert!(std::time::Instant::now() < deadline);
        }
        let before = program_file(pid).unwrap();
        // The kernel's name for the program follows a rename, and marks a deleted file.
        std::fs::remove_file(&program).unwrap();
        let deleted = program_file(pid).unwrap();
        std::fs::copy("/bin/sleep", &program).unwrap();
        let replaced = program_file(pid).unwrap();
        let facts = (is_halted(pid).unwrap(), is_of_this_account(pid).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            (before, deleted, replaced),
            (ProgramFile::Same, ProgramFile::Deleted, ProgramFile::Replaced)
        );
        assert_eq!(facts, (false, true));
        assert!(is_of_this_account(pid).is_err());
    }

    #[test]
    fn limits_are_numbers() {
        assert!(limits().descriptors.is_none_or(|most| most > 3));
    }
}
