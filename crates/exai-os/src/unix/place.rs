use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use crate::place::{Entry, EntryKind};

/// On Linux a descriptor that only says which file is meant (`O_PATH`).
pub(crate) type Held = OwnedFd;

pub(crate) fn find(path: &Path) -> io::Result<(Held, PathBuf, bool)> {
    let held = hold(path)?;
    let found = rustix::fs::fstat(&held)?;
    let is_directory = is_directory(&found)?;
    if is_of_the_kernel(&held)? {
        return Err(no_file());
    }
    let real_path = real_path(&held)?;
    // A name that the file has lost is not where it is.
    let there = rustix::fs::lstat(&real_path)?;
    if (there.st_dev, there.st_ino) != (found.st_dev, found.st_ino) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((held, real_path, is_directory))
}

fn is_directory(found: &Stat) -> io::Result<bool> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(false),
        FileType::Directory => Ok(true),
        _ => Err(no_file()),
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "is neither a regular file nor a directory")
}

#[cfg(target_os = "linux")]
fn hold(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Here a file is opened to be held, so that it is looked at before. Never run.
#[cfg(not(target_os = "linux"))]
fn hold(path: &Path) -> io::Result<OwnedFd> {
    is_directory(&rustix::fs::stat(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(target_os = "linux")]
fn real_path(held: &OwnedFd) -> io::Result<PathBuf> {
    let path = std::fs::read_link(descriptor_path(held))?;
    // What is outside of this process's root has a path that begins with `(unreachable)`.
    if path.is_absolute() { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
}

#[cfg(target_os = "linux")]
fn descriptor_path(held: &OwnedFd) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", held.as_raw_fd())
}

/// Never run.
#[cfg(not(target_os = "linux"))]
fn real_path(held: &OwnedFd) -> io::Result<PathBuf> {
    let path = rustix::fs::getpath(held)?;
    Ok(PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}

/// Whether the kernel makes it up: reading it may show secrets of processes, never end, or do something. The magic
/// numbers are those of statfs(2).
#[cfg(target_os = "linux")]
fn is_of_the_kernel(held: &OwnedFd) -> io::Result<bool> {
    const KERNEL: [u32; 19] = [
        0x9FA0,      // proc
        0x6265_6572, // sysfs
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0x6367_7270, // cgroup2
        0x0027_E0EB, // cgroup
        0x6265_6570, // configfs
        0xCAFE_4A11, // bpf
        0x1CD1,      // devpts
        0xDE5E_81E4, // efivarfs
        0x6165_676C, // pstore
        0x4249_4E4D, // binfmt_misc
        0xF97C_FF8C, // selinuxfs
        0x4341_5D53, // smackfs
        0x6573_5543, // fusectl
        0x1980_0202, // mqueue
        0x6E73_6673, // nsfs
        0x0BAD_1DEA, // futexfs
    ];
    let magic = u32::try_from(rustix::fs::fstatfs(held)?.f_type).unwrap_or(0);
    Ok(KERNEL.contains(&magic))
}

/// macOS has no such file systems. Never run.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
fn is_of_the_kernel(_held: &OwnedFd) -> io::Result<bool> {
    Ok(false)
}

#[cfg(target_os = "linux")]
pub(crate) fn open(held: &Held) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(descriptor_path(held), flags, Mode::empty())?.into())
}

/// Never run.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(held: &Held) -> io::Result<File> {
    Ok(held.try_clone()?.into())
}

pub(crate) fn entries(
    held: &Held,
    _real_path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = Dir::new(rustix::fs::openat(held, ".", flags, Mode::empty())?)?;
    Ok(std::iter::from_fn(move || {
        loop {
            let entry = match directory.read()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = directory
                .fd()
                .and_then(|directory| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW));
            match found {
                Ok(found) => return Some(Ok(read_entry(name.to_bytes(), &found))),
                // It is gone since its name was read.
                Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }))
}

fn read_entry(name: &[u8], found: &Stat) -> Entry {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    };
    let since = Duration::new(
        u64::try_from(found.st_mtime).unwrap_or(0),
        u32::try_from(found.st_mtime_nsec).unwrap_or(0) % 1_000_000_000,
    );
    let modified = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
    Entry { name: OsStr::from_bytes(name).to_owned(), kind, modified }
}
