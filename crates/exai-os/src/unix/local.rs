use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::local::Peer;

pub(crate) type Name = PathBuf;
pub(crate) type Stream = tokio::net::UnixStream;

/// `sun_path` holds 108 bytes on Linux and 104 on macOS, with the final zero.
const MAX_PATH_BYTES: usize = 100;
const BACKLOG: i32 = 1024;

pub(crate) fn fresh(home: &Path, nonce: &str) -> io::Result<Name> {
    let home = std::path::absolute(home)?;
    let socket = home.join(format!("s-{nonce}.sock"));
    if fits(&socket) {
        return Ok(socket);
    }
    let directory = runtime_directory().and_then(|directory| {
        crate::private::ensure_dir(&directory).map_err(io::Error::other)?;
        Ok(directory)
    });
    let socket = match directory {
        Ok(directory) => directory.join(format!("{}{nonce}.sock", prefix_of(&home))),
        Err(error) => {
            let sentence = format!("{} is too long a path for a socket, and {error}", socket.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
    };
    if fits(&socket) {
        return Ok(socket);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is too long for a socket", socket.display())))
}

fn fits(socket: &Path) -> bool {
    // A path that is no UTF-8 could not be written into the daemon's record.
    socket.to_str().is_some_and(|text| text.len() <= MAX_PATH_BYTES)
}

/// Several homes share the account's runtime directory.
fn prefix_of(home: &Path) -> String {
    format!("s-{}-", crate::hash::of_path(home))
}

/// The account's own, not `XDG_RUNTIME_DIR`: clients may pass another environment.
#[cfg(target_os = "linux")]
fn runtime_directory() -> io::Result<PathBuf> {
    let run = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    if run.is_dir() {
        return Ok(run.join("exai"));
    }
    Err(io::Error::other(format!("there is no runtime directory {}", run.display())))
}

/// The account's temporary directory, as the system names it. Never run.
#[cfg(not(target_os = "linux"))]
fn runtime_directory() -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut buffer = vec![0_u8; 1024];
    // SAFETY: the buffer is as long as the length given.
    let length =
        unsafe { libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, buffer.as_mut_ptr().cast(), buffer.len()) };
    if length == 0 || length > buffer.len() {
        return Err(io::Error::other("the system names no temporary directory for this account"));
    }
    buffer.truncate(length - 1);
    Ok(PathBuf::from(std::ffi::OsString::from_vec(buffer)).join("exai"))
}

pub(crate) fn exists(name: &Name) -> bool {
    std::fs::symlink_metadata(name).is_ok_and(|found| found.file_type().is_socket())
}

/// The beginning of the nonces of starters' sockets, to which a new daemon connects. Nonces of daemons never begin
/// so.
pub(super) const STARTER: &str = "outside-";

pub(crate) fn sockets(home: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(all_sockets(home)?.into_iter().filter(|socket| !is_of_starter(socket)).collect())
}

/// The sockets of processes that start daemons of `home`.
#[cfg(target_os = "linux")]
pub(super) fn sockets_of_starters(home: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(all_sockets(home)?.into_iter().filter(|socket| is_of_starter(socket)).collect())
}

fn is_of_starter(socket: &Path) -> bool {
    let name = socket.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once(STARTER).is_some_and(|(before, _)| before.ends_with('-'))
}

fn all_sockets(home: &Path) -> io::Result<Vec<PathBuf>> {
    let home = std::path::absolute(home)?;
    let mut found = sockets_in(&home, "s-")?;
    if let Ok(runtime) = runtime_directory() {
        found.extend(sockets_in(&runtime, &prefix_of(&home))?);
    }
    Ok(found)
}

fn sockets_in(directory: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        if ours && entry.file_type()?.is_socket() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

pub(crate) fn show(name: &Name, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", name.display())
}

pub(crate) fn parse(text: &str) -> Option<Name> {
    let path = PathBuf::from(text);
    (path.is_absolute() && text.len() <= MAX_PATH_BYTES && !text.contains('\0')).then_some(path)
}

#[cfg(target_os = "linux")]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(not(target_os = "linux"))]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::net::sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

/// Makes a listening socket at this name, for this account alone.
pub(super) fn listening(name: &Name) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(name.as_path())?;
    let socket = new_socket()?;
    rustix::net::bind(&socket, &address)?;
    // No process can connect before listen, so the mode is never too loose.
    let listens = rustix::fs::chmod(name, Mode::from_raw_mode(0o600))
        .and_then(|()| rustix::net::listen(&socket, BACKLOG));
    if let Err(error) = listens {
        let _ = crate::private::remove(name);
        return Err(error.into());
    }
    Ok(socket)
}

#[derive(Debug)]
pub(crate) struct Connection(UnixStream);

impl From<UnixStream> for Connection {
    fn from(stream: UnixStream) -> Self {
        Connection(stream)
    }
}

impl Connection {
    pub(crate) fn connect(name: &Name, timeout: Duration) -> io::Result<Connection> {
        let address = SocketAddrUnix::new(name.as_path())?;
        let socket = new_socket()?;
        // A full backlog blocks connect on Linux; the timeout for sending bounds that wait. Zero would
        // mean no bound.
        let bound = timeout.max(Duration::from_millis(1));
        rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, Some(bound))?;
        match rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address)) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the daemon accepts nobody"));
            }
            Err(error) => return Err(error.into()),
        }
        rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
        Ok(Connection(UnixStream::from(socket)))
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        // rustix types the pid as never zero, but the kernel gives zero across pid namespaces.
        let mut raw = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the structure and its length describe writable memory; the descriptor is open.
        let result = unsafe {
            libc::getsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&self.0),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut raw).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(peer(raw.uid, Some(raw.pid)))
    }

    /// Never run.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        use std::os::fd::AsRawFd as _;
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: both pointers are to writable numbers of the right type.
        if unsafe { libc::getpeereid(self.0.as_raw_fd(), &raw mut uid, &raw mut gid) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut pid: libc::pid_t = 0;
        let mut length = size_of::<libc::pid_t>() as libc::socklen_t;
        // SAFETY: the option's value is one pid_t, and the length says so.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_LOCAL,
                libc::LOCAL_PEERPID,
                (&raw mut pid).cast(),
                &raw mut length,
            )
        };
        Ok(peer(uid, (result == 0).then_some(pid)))
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))
    }

    pub(super) fn into_stream(self) -> UnixStream {
        self.0
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    pub(crate) fn close(&self) {
        // Fails only when the peer was faster.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    pub(crate) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        (&self.0).write(buffer)
    }
}

fn peer(uid: u32, pid: Option<i32>) -> Peer {
    Peer {
        same_user: uid == rustix::process::geteuid().as_raw(),
        uid: Some(uid),
        pid: pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
    }
}

#[derive(Debug)]
pub(crate) struct Listener {
    inner: tokio::net::UnixListener,
    name: Name,
}

impl Listener {
    pub(crate) fn bind(name: &Name) -> io::Result<Listener> {
        let socket = listening(name)?;
        let inner = rustix::io::ioctl_fionbio(&socket, true)
            .map_err(io::Error::from)
            .and_then(|()| tokio::net::UnixListener::from_std(socket.into()));
        match inner {
            Ok(inner) => Ok(Listener { inner, name: name.clone() }),
            Err(error) => {
                let _ = crate::private::remove(name);
                Err(error)
            }
        }
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (stream, _) = self.inner.accept().await?;
        let credentials = stream.peer_cred()?;
        let peer = peer(credentials.uid(), credentials.pid());
        Ok((stream, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The name holds our nonce: whatever is there is ours.
        let _ = crate::private::remove(&self.name);
    }
}
