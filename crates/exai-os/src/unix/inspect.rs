//! Facts about other processes come from Linux's /proc.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::process::Resource;

use crate::inspect::{Entry, EntryKind, Limits, ProgramFile, Space};

pub(crate) fn entry(path: &Path) -> io::Result<Entry> {
    let found = fs::symlink_metadata(path)?;
    let kind = found.file_type();
    let kind = match () {
        () if kind.is_file() => EntryKind::File,
        () if kind.is_dir() => EntryKind::Directory,
        () if kind.is_symlink() => EntryKind::Link,
        () if kind.is_fifo() => EntryKind::Pipe,
        () if kind.is_socket() => EntryKind::Socket,
        () => EntryKind::Other,
    };
    let foreign = found.uid() != rustix::process::geteuid().as_raw();
    Ok(Entry {
        kind,
        foreign_owner: foreign.then(|| format!("uid {}", found.uid())),
        mode: Some(found.mode() & 0o7777),
        open_to_others: found.mode() & 0o077 != 0,
        length: found.len(),
    })
}

pub(crate) fn network_filesystem(directory: &Path) -> io::Result<Option<String>> {
    Ok(super::private::network_kind(&super::private::open_dir(directory)?)?)
}

pub(crate) fn is_writable(directory: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Space {
        bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

pub(crate) fn limits() -> Limits {
    let most = |resource| rustix::process::getrlimit(resource).maximum;
    // pipe(7); 0 means no limit, and there is none for an account that may raise it.
    let pages = fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").ok();
    let pages = pages.and_then(|text| text.trim().parse::<u64>().ok()).filter(|pages| *pages > 0);
    let pages = pages.filter(|_| !rustix::process::geteuid().is_root());
    Limits {
        descriptors: most(Resource::Nofile),
        processes: most(Resource::Nproc),
        processor_seconds: most(Resource::Cpu),
        file_bytes: most(Resource::Fsize),
        memory_bytes: most(Resource::As),
        pipe_bytes: pages.map(|pages| pages * rustix::param::page_size() as u64),
    }
}

pub(crate) fn limits_of(pid: u32) -> io::Result<Limits> {
    let table = from_proc(fs::read_to_string(format!("/proc/{pid}/limits")))?;
    // The soft limit follows the name: a number, or `unlimited`.
    let soft = |name: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Ok(Limits {
        descriptors: soft("Max open files"),
        processes: soft("Max processes"),
        processor_seconds: soft("Max cpu time"),
        file_bytes: soft("Max file size"),
        memory_bytes: soft("Max address space"),
        pipe_bytes: limits().pipe_bytes,
    })
}

pub(crate) fn is_of_this_account(pid: u32) -> io::Result<bool> {
    let found = from_proc(fs::metadata(format!("/proc/{pid}")))?;
    Ok(found.uid() == rustix::process::geteuid().as_raw())
}

pub(crate) fn program_file(pid: u32) -> io::Result<ProgramFile> {
    let link = format!("/proc/{pid}/exe");
    // The link itself leads to the very file; its text leads to the file that has the name now.
    let executed = from_proc(fs::metadata(&link))?;
    let path = super::process::executable(pid)?;
    let deleted = fs::read_link(&link)?.as_os_str() != path.as_os_str();
    Ok(match fs::metadata(&path) {
        Ok(named) if (named.dev(), named.ino()) == (executed.dev(), executed.ino()) => ProgramFile::Same,
        Ok(_) => ProgramFile::Replaced,
        Err(_) if deleted => ProgramFile::Deleted,
        Err(error) if error.kind() == io::ErrorKind::NotFound => ProgramFile::Deleted,
        Err(error) => return Err(error),
    })
}

pub(crate) fn is_halted(pid: u32) -> io::Result<bool> {
    Ok(matches!(&*field(pid, 3)?, "T" | "t"))
}

/// A field of /proc/PID/stat by its number in the manual page, from 3 on.
fn field(pid: u32, number: usize) -> io::Result<String> {
    let stat = from_proc(fs::read(format!("/proc/{pid}/stat")))?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything: what follows the last one is regular.
    let found = stat.rsplit_once(')').and_then(|(_, tail)| tail.split_ascii_whitespace().nth(number - 3));
    found.map(str::to_owned).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))
}

/// Without /proc nothing is found, which tells nothing about the process.
fn from_proc<T>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self").exists() => {
            Err(io::ErrorKind::Unsupported.into())
        }
        result => result,
    }
}

pub(crate) fn under_wine() -> bool {
    false
}
