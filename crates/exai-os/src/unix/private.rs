use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FileType, Mode, OFlags};

use crate::private::{DirChecked, DirError};

const OWNER_ONLY: Mode = Mode::from_raw_mode(0o600);

pub(crate) fn ensure_dir(path: &Path) -> Result<DirChecked, DirError> {
    let io = |action, source| DirError::Io { action, path: path.to_owned(), source };
    let created = match open_dir(path) {
        Ok(dir) => return check_dir(path, &dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(DirError::NotADirectory { path: path.to_owned() });
        }
        Err(error) => return Err(io("open", error)),
    };
    created.map_err(|error| io("create", error))?;
    let dir = open_dir(path).map_err(|error| io("open", error))?;
    check_dir(path, &dir).map(|_| DirChecked::Created)
}

/// The checks are made on the open directory, so that what was checked is what exists.
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn check_dir(path: &Path, dir: &File) -> Result<DirChecked, DirError> {
    let io = |action, source| DirError::Io { action, path: path.to_owned(), source };
    let found = dir.metadata().map_err(|error| io("inspect", error))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(DirError::Foreign { path: path.to_owned(), owner: format!("uid {}", found.uid()) });
    }
    if let Some(kind) = network_kind(dir).map_err(|error| io("inspect the file system of", error.into()))? {
        return Err(DirError::NetworkFilesystem { path: path.to_owned(), kind });
    }
    let was = found.mode() & 0o7777;
    if was & 0o777 == 0o700 {
        return Ok(DirChecked::AsItShouldBe);
    }
    // The sticky bit marks what many share. Root owns such directories, and could tighten them.
    if was & 0o1000 != 0 || path.parent().is_none() {
        return Err(DirError::Shared { path: path.to_owned() });
    }
    rustix::fs::fchmod(dir, Mode::from_raw_mode(0o700)).map_err(|error| io("tighten", error.into()))?;
    Ok(DirChecked::Tightened { was: Some(was) })
}

/// The kind of network file system `dir` is on. The magic numbers are those of statfs(2). FUSE is not
/// listed: it carries local file systems as well, and the kernel does not say which.
#[cfg(target_os = "linux")]
pub(super) fn network_kind(dir: &File) -> rustix::io::Result<Option<String>> {
    Ok(network_name(u32::try_from(rustix::fs::fstatfs(dir)?.f_type).unwrap_or(0)).map(str::to_owned))
}

#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFF53_4D42 => "cifs",
        0xFE53_4D42 => "smb2",
        0x0102_1997 => "9p",
        // OpenAFS, and the one of Linux itself.
        0x5346_414F | 0x6B41_4653 => "afs",
        0x00C3_6400 => "ceph",
        0x0BD0_0BD0 => "lustre",
        0x4750_4653 => "gpfs",
        0x7375_7245 => "coda",
        _ => return None,
    })
}

/// macOS says itself whether a file system is local. Never run.
#[cfg(not(target_os = "linux"))]
pub(super) fn network_kind(dir: &File) -> rustix::io::Result<Option<String>> {
    let stat = rustix::fs::fstatfs(dir)?;
    let local = stat.f_flags & libc::MNT_LOCAL as u32 != 0;
    Ok((!local).then(|| "not local".to_owned()))
}

pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::RDONLY)
}

pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
}

/// Opens a regular file of ours without following a link or waiting for the other end of a FIFO.
pub(super) fn open_regular(path: &Path, how: OFlags) -> io::Result<File> {
    let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, OWNER_ONLY).map_err(|error| match error {
        rustix::io::Errno::LOOP => io::Error::new(io::ErrorKind::InvalidData, "is a symbolic link"),
        error => error.into(),
    })?;
    let stat = rustix::fs::fstat(&fd)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("is no regular file ({kind:?})")));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        let sentence = format!("belongs to uid {}, not to this account", stat.st_uid);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    Ok(File::from(fd))
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

pub(crate) fn write_atomic(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&temporary, flags, OWNER_ONLY)?);
    let written = file
        .write_all(bytes)
        .and_then(|()| if sync { file.sync_all() } else { Ok(()) })
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell; a temporary file that stays is harmless.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    // The clock keeps the name apart from one left by a crashed process that had our pid.
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}.{:x}.{count}.tmp", std::process::id(), clock.as_nanos()));
    Ok(path.with_file_name(temporary))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{network_kind, network_name, open_dir};

    /// There is no such file system to be had in a test; the numbers are the kernel's.
    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        let network = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x5346_414F, 0x00C3_6400];
        let names = ["nfs", "smb", "cifs", "smb2", "9p", "afs", "ceph"].map(Some);
        assert_eq!(network.map(network_name), names);
        let network = [0x0BD0_0BD0, 0x4750_4653, 0x7375_7245, 0x6B41_4653].map(network_name);
        assert_eq!(network, ["lustre", "gpfs", "coda", "afs"].map(Some));
        // ext4, tmpfs, btrfs, overlayfs, fuse.
        for local in [0xEF53, 0x0102_1994, 0x9123_683E, 0x794C_7630, 0x6573_5546] {
            assert_eq!(network_name(local), None);
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(network_kind(&open_dir(dir.path()).unwrap()).unwrap(), None);
    }
}
