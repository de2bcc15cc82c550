use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::private::open_regular;

pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::RDWR | OFlags::CREATE)
}

pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    open_regular(path, OFlags::RDONLY)
}

pub(crate) fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn holder(path: &Path) -> io::Result<Option<u32>> {
    let named = match std::fs::symlink_metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let device = (rustix::fs::major(named.dev()), rustix::fs::minor(named.dev()));
    let table = std::fs::read_to_string("/proc/locks")?;
    let same_inode: Vec<FileLock> =
        table.lines().filter_map(FileLock::parse).filter(|lock| lock.inode == named.ino()).collect();
    let sure = same_inode.iter().find(|lock| lock.device == device).map(|lock| lock.pid);
    // Some file systems (btrfs, overlay) show a file under another device than their own.
    let opened = || same_inode.iter().map(|lock| lock.pid).find(|pid| has_open(*pid, &named));
    let found = sure.or_else(opened);
    Ok(found.filter(|pid| crate::process::identify(*pid).is_ok_and(|found| found.is_some())))
}

/// An exclusive lock of a whole file, from a line of /proc/locks; proc_locks(5) has its form.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct FileLock {
    pid: u32,
    device: (u32, u32),
    inode: u64,
}

#[cfg(target_os = "linux")]
impl FileLock {
    /// `None` for other kinds of locks, for those that only wait, and for those of other namespaces (pid 0).
    fn parse(line: &str) -> Option<FileLock> {
        let mut words = line.split_ascii_whitespace().skip(1);
        if (words.next()?, words.next()?, words.next()?) != ("FLOCK", "ADVISORY", "WRITE") {
            return None;
        }
        let pid = words.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let mut place = words.next()?.split(':');
        let hex = |word: Option<&str>| u32::from_str_radix(word?, 16).ok();
        let device = (hex(place.next())?, hex(place.next())?);
        Some(FileLock { pid, device, inode: place.next()?.parse().ok()? })
    }
}

#[cfg(target_os = "linux")]
fn has_open(pid: u32, named: &std::fs::Metadata) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .filter_map(|entry| std::fs::metadata(entry.ok()?.path()).ok())
        .any(|open| (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// macOS lists no locks.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn holder(_path: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(target_os = "linux")]
pub(crate) use abstract_socket::{Claimed, claim_name, forget_questions, is_claimed};

/// Abstract socket names have no owner: any user may take any name. So a name that another user holds tells nothing
/// about our home, and the next one is tried.
#[cfg(target_os = "linux")]
mod abstract_socket {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

    use crate::lock::{Claim, NameClaim};

    pub(crate) type Claimed = OwnedFd;

    /// Another user would have to occupy all of these names to take the second authority from us. The first one, the
    /// lock, remains.
    const MAX_NAMES: u32 = 8;

    pub(crate) fn claim_name(home: &Path) -> io::Result<Claim> {
        let uid = rustix::process::geteuid().as_raw();
        let name = name_of(uid, &home.canonicalize()?);
        for suffix in 0..MAX_NAMES {
            let name = if suffix == 0 { name.clone() } else { format!("{name}-{suffix}") };
            let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
            let socket = new_socket()?;
            match rustix::net::bind(&socket, &address) {
                Ok(()) => {
                    // Listening lets other processes ask the kernel which process this is.
                    rustix::net::listen(&socket, 4096)?;
                    return Ok(Claim::Ours(NameClaim(socket)));
                }
                Err(Errno::ADDRINUSE) if held_by(&address, uid)? => return Ok(Claim::TakenByThisUser),
                Err(Errno::ADDRINUSE) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Claim::Unsupported)
    }

    pub(crate) fn is_claimed(home: &Path) -> io::Result<bool> {
        let uid = rustix::process::geteuid().as_raw();
        let name = name_of(uid, &canonical(home)?);
        for suffix in 0..MAX_NAMES {
            let name = if suffix == 0 { name.clone() } else { format!("{name}-{suffix}") };
            let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
            if held_by(&address, uid)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn forget_questions(claimed: &Claimed) {
        let flags = SocketFlags::CLOEXEC;
        while rustix::net::accept_with(claimed, flags).is_ok() {}
    }

    fn name_of(uid: u32, home: &Path) -> String {
        format!("exai-{uid}-{}", crate::hash::of_path(home))
    }

    /// The canonical path, also of a directory that is gone while the one around it is there.
    fn canonical(home: &Path) -> io::Result<PathBuf> {
        match (home.canonicalize(), home.parent(), home.file_name()) {
            (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(parent.canonicalize()?.join(name))
            }
            (result, _, _) => result,
        }
    }

    /// Whether a process of `uid` listens there. A holder that does not listen, or whose queue is full,
    /// cannot be told from a stranger and counts as one.
    fn held_by(address: &SocketAddrUnix, uid: u32) -> io::Result<bool> {
        let socket = new_socket()?;
        match rustix::net::connect(&socket, address) {
            Ok(()) => Ok(rustix::net::sockopt::socket_peercred(&socket)?.uid.as_raw() == uid),
            Err(Errno::CONNREFUSED | Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn new_socket() -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
    }
}

/// macOS has no abstract sockets; there [`crate::lock::HeldLock::still_named`] detects what this prevents.
#[cfg(not(target_os = "linux"))]
pub(crate) type Claimed = ();

#[cfg(not(target_os = "linux"))]
pub(crate) fn claim_name(_home: &Path) -> io::Result<crate::lock::Claim> {
    Ok(crate::lock::Claim::Unsupported)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn is_claimed(_home: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn forget_questions(_claimed: &Claimed) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

    use crate::lock::Claim;

    #[test]
    fn a_line_of_the_lock_table() {
        let parse = super::FileLock::parse;
        let lock = parse("12: FLOCK  ADVISORY  WRITE 6510 fe:00:10010664 0 EOF").unwrap();
        assert_eq!(lock, super::FileLock { pid: 6510, device: (0xfe, 0), inode: 10_010_664 });
        for other in [
            "",
            "1: -> FLOCK  ADVISORY  WRITE 6510 fe:00:1 0 EOF",
            "1: FLOCK  ADVISORY  READ 6510 fe:00:1 0 EOF",
            "1: POSIX  ADVISORY  WRITE 6510 fe:00:1 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 0 fe:00:1 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 1 <none>:0 0 EOF",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_in_a_strangers_hands_is_no_authority() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let name = format!("exai-{uid}-{}", crate::hash::of_path(&dir.path().canonicalize().unwrap()));
        // This socket does not listen, so the kernel does not show its owner.
        let squatter = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        rustix::net::bind(&squatter, &address).unwrap();
        let Claim::Ours(_held) = super::claim_name(dir.path()).unwrap() else {
            panic!("the stranger kept us out")
        };
        assert!(matches!(super::claim_name(dir.path()).unwrap(), Claim::TakenByThisUser));
    }
}
