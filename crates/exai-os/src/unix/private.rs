use std::ffi::OsString;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
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
    // The sticky bit marks shared directories. Root owns them and could tighten them.
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

pub(crate) fn file_id(path: &Path) -> Option<String> {
    let found = rustix::fs::stat(path).ok()?;
    Some(format!("{:x}:{:x}", found.st_dev, found.st_ino))
}

pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::RDONLY)
}

pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
}

pub(crate) fn create_new(path: &Path, executable: bool) -> io::Result<File> {
    let mode = if executable { 0o700 } else { 0o600 };
    std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Opens a regular file of ours without following a link or waiting for the other end of a FIFO.
pub(super) fn open_regular(path: &Path, how: OFlags) -> io::Result<File> {
    let file = open_plain(path, how)?;
    let owner = file.metadata()?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(denied(format!("belongs to uid {owner}, not to this account")));
    }
    Ok(file)
}

/// The same for a file of any account.
fn open_plain(path: &Path, how: OFlags) -> io::Result<File> {
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
    Ok(File::from(fd))
}

fn denied(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, sentence)
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// Whether an account other than this one and root may write it. A group with the number of the account is the
/// account's own, as most Linux systems make one for each account.
fn others_may_write(found: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let own_group = found.gid() == user && rustix::process::getegid().as_raw() == user;
    found.mode() & 0o002 != 0 || found.mode() & 0o020 != 0 && !own_group
}

pub(crate) fn open_trusted(path: &Path) -> io::Result<File> {
    let place = trusted_place(path)?;
    let file = open_plain(&place, OFlags::RDONLY)?;
    let found = file.metadata()?;
    if !is_trusted(found.uid()) {
        return Err(denied(format!("belongs to uid {}, not to this account", found.uid())));
    }
    let alone = || {
        let directory = place.parent().and_then(|parent| parent.metadata().ok());
        directory.is_some_and(|found| is_trusted(found.uid()) && found.mode() & 0o777 == 0o700)
    };
    if others_may_write(&found) && !(place == path && alone()) {
        let (mode, shown) = (found.mode() & 0o7777, place.display());
        return Err(denied(format!("others may write {shown} (mode {mode:04o}); `chmod go-w {shown}`")));
    }
    Ok(file)
}

/// Follows links step by step, so that each directory on the way is looked at.
pub(crate) fn trusted_place(path: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: u32 = 40;
    if !std::fs::symlink_metadata(path)?.is_symlink() {
        return Ok(path.to_owned());
    }
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let (parent, name) = path.parent().zip(path.file_name()).ok_or_else(no_file)?;
    let mut at = parent.canonicalize()?;
    // The next one last.
    let mut rest: Vec<OsString> = vec![name.to_owned()];
    let mut links = 0;
    while let Some(next) = rest.pop() {
        if next == ".." {
            at.pop();
            continue;
        }
        let here = at.join(next);
        let found = std::fs::symlink_metadata(&here).map_err(|error| {
            // A dangling link must not count as a missing file.
            let sentence = format!("is a symbolic link, and {}: {error}", here.display());
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        })?;
        if !found.is_symlink() {
            at = here;
            continue;
        }
        if !is_trusted(found.uid()) {
            return Err(denied(format!("{} is a symbolic link of uid {}", here.display(), found.uid())));
        }
        check_way(&at)?;
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "is a symbolic link that leads nowhere"));
        }
        let target = std::fs::read_link(&here)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        rest.extend(target.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        }));
    }
    check_way(at.parent().unwrap_or(&at))?;
    Ok(at)
}

/// Whether no other account can replace anything in this directory or in one above it.
fn check_way(directory: &Path) -> io::Result<()> {
    for directory in directory.ancestors() {
        let found = std::fs::symlink_metadata(directory)?;
        let shown = directory.display();
        if !is_trusted(found.uid()) {
            return Err(denied(format!("is a symbolic link, and {shown} belongs to uid {}", found.uid())));
        }
        // In a directory with the sticky bit no account can move the files of another.
        if others_may_write(&found) && found.mode() & 0o1000 == 0 {
            let mode = found.mode() & 0o7777;
            return Err(denied(format!(
                "is a symbolic link, and others may write {shown} (mode {mode:04o}); `chmod go-w {shown}`"
            )));
        }
    }
    Ok(())
}

pub(crate) fn tighten(path: &Path) -> io::Result<Option<u32>> {
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_file() || found.mode() & 0o022 == 0 {
        return Ok(None);
    }
    let file = open_regular(path, OFlags::RDONLY)?;
    let was = file.metadata()?.mode() & 0o7777;
    file.set_permissions(Permissions::from_mode(was & 0o700))?;
    Ok(Some(was))
}

pub(crate) fn exposed(directory: &Path, file: &Path) -> Option<u32> {
    let (directory, found) = (directory.metadata().ok()?, std::fs::symlink_metadata(file).ok()?);
    let mode = found.mode();
    // The bits of the group and of all other accounts.
    let ways = [(0o010, 0o020), (0o001, 0o002)];
    let is_way = |(enter, write)| directory.mode() & enter != 0 && mode & write != 0;
    let exposed = found.is_file() && others_may_write(&found) && ways.into_iter().any(is_way);
    exposed.then_some(mode & 0o7777)
}

/// The change time moves with owner and mode as well.
type Inode = (u64, u64, u64, [i64; 4], u32, u32);

/// What is at the path, and where it leads or why it is not followed.
pub(crate) type Facts = (Inode, Option<Result<(PathBuf, Inode), String>>);

pub(crate) fn facts(path: &Path) -> Option<Facts> {
    let inode = |found: &Metadata| {
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        (found.dev(), found.ino(), found.len(), times, found.mode(), found.uid())
    };
    let found = std::fs::symlink_metadata(path).ok()?;
    let target = || -> io::Result<(PathBuf, Inode)> {
        let place = trusted_place(path)?;
        let target = inode(&std::fs::symlink_metadata(&place)?);
        Ok((place, target))
    };
    let led = found.is_symlink().then(|| target().map_err(|error| error.to_string()));
    Some((inode(&found), led))
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

    /// Tests have no network file systems, so this test uses the kernel's numbers for them.
    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        let network = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x5346_414F, 0x00C3_6400];
        let names = ["nfs", "smb", "cifs", "smb2", "9p", "afs", "ceph"].map(Some);
        assert_eq!(network.map(network_name), names);
        let network = [0x0BD0_0BD0, 0x4750_4653, 0x7375_7245, 0x6B41_4653].map(network_name);
        assert_eq!(network, ["lustre", "gpfs", "coda", "afs"].map(Some));
        // ext4, tmpfs, btrfs, overlayfs and fuse.
        for local in [0xEF53, 0x0102_1994, 0x9123_683E, 0x794C_7630, 0x6573_5546] {
            assert_eq!(network_name(local), None);
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(network_kind(&open_dir(dir.path()).unwrap()).unwrap(), None);
    }
}
