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
pub(crate) use abstract_socket::{Claimed, claim_name};

/// Abstract socket names belong to nobody: any user may take any name, so a name in another user's hands
/// says nothing about our home, and the next one is tried.
#[cfg(target_os = "linux")]
mod abstract_socket {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

    use crate::lock::{Claim, NameClaim};

    pub(crate) type Claimed = OwnedFd;

    /// Another user would have to occupy all of these to take the second authority from us; the first,
    /// the lock, remains.
    const NAMES: u32 = 8;

    pub(crate) fn claim_name(home: &Path) -> io::Result<Claim> {
        let uid = rustix::process::geteuid().as_raw();
        let name = format!("exai-{uid}-{}", crate::hash::of_path(&home.canonicalize()?));
        for suffix in 0..NAMES {
            let name = if suffix == 0 { name.clone() } else { format!("{name}-{suffix}") };
            let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
            let socket = new_socket()?;
            match rustix::net::bind(&socket, &address) {
                Ok(()) => {
                    // Listening is what lets others ask the kernel who we are.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

    use crate::lock::Claim;

    #[test]
    fn a_name_in_a_strangers_hands_is_no_authority() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let name = format!("exai-{uid}-{}", crate::hash::of_path(&dir.path().canonicalize().unwrap()));
        // It does not listen, so nobody can ask whose it is.
        let squatter = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        rustix::net::bind(&squatter, &address).unwrap();
        let Claim::Ours(_held) = super::claim_name(dir.path()).unwrap() else {
            panic!("the stranger kept us out")
        };
        assert!(matches!(super::claim_name(dir.path()).unwrap(), Claim::TakenByThisUser));
    }
}
