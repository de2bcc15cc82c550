//! Which process listens on a TCP port of this machine, and which has connected to one, as the kernel tells.
//!
//! A port is no identity: the first process that takes it gets everything that is sent there. So the listener is
//! checked before anything private is sent. The listener is the owner of the socket that *gets* a connection to an
//! address: the one bound to exactly this address if there is one, else one bound to all addresses.
//!
//! `Unsupported` on macOS, where only libproc's walk through all descriptors of all processes would tell;
//! it is not written yet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::sys;

/// The command that lists the ports which the system reserves although no process listens there: Windows does so for
/// virtual machines and containers.
pub const LISTS_RESERVED: Option<&str> =
    if cfg!(windows) { Some("netsh int ipv4 show excludedportrange protocol=tcp") } else { None };

/// Whether a connection to `addr` gets to the process `pid` and to no other. An error when the kernel does
/// not tell us, as for the process of another account on Linux.
///
/// A pid is a hint: check afterwards that it still is the process that is meant.
pub fn is_listening(addr: SocketAddr, pid: u32) -> io::Result<bool> {
    sys::port::is_listening(addr, pid)
}

/// The process that a connection to `addr` gets to; one of them, where several hold the socket. `None` when no
/// process listens there, `PermissionDenied` when it is a process that this account may not look into.
pub fn owner(addr: SocketAddr) -> io::Result<Option<u32>> {
    sys::port::owner(addr)
}

/// Binds `addr` and listens there for at most `backlog` connections that nobody has accepted yet. Must be called within a
/// tokio runtime.
///
/// Where the backlog is full, Linux drops what comes, and the client tries again after a second: with the 128 places of
/// the standard library, a crowd of connections made others wait for that second.
///
/// On Unix a restarted program takes its port back at once. On Windows a program that has bound the port for all addresses
/// does not keep another from binding it for one address; connections to that address then come to the latter.
pub fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this option would let any other program take the port.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// A TCP connection between two processes of this machine, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The address of this end.
    pub here: SocketAddr,
    /// The address of the other end.
    pub there: SocketAddr,
}

/// The process at the other end of each of these connections. `None` where the connection is closed, where a process has
/// it that this account may not look into, and where several processes have it.
///
/// Looks once through the descriptors of all processes, unless all the connections are closed: milliseconds, and more on a
/// machine with many processes. A pid is a hint: check afterwards that it still is the process that is meant.
pub fn peers(connections: &[Connection]) -> io::Result<Vec<Option<u32>>> {
    sys::port::peers(connections)
}

/// Those of the listening sockets that get the connections to `addr`: several only where several share one address.
/// The value beside the address tells the owner.
pub(crate) fn takers<T: Copy>(listening: &[(SocketAddr, T)], addr: SocketAddr) -> Vec<T> {
    let exactly = |ip: IpAddr| -> Vec<T> {
        let wanted =
            listening.iter().filter(|(bound, _)| bound.port() == addr.port() && same(bound.ip(), ip));
        wanted.map(|(_, owner)| *owner).collect()
    };
    let mut places = vec![addr.ip()];
    if addr.is_ipv4() {
        places.push(Ipv4Addr::UNSPECIFIED.into());
    }
    // A socket for all of IPv6 takes IPv4 as well, as a rule.
    places.push(Ipv6Addr::UNSPECIFIED.into());
    places.into_iter().map(exactly).find(|found| !found.is_empty()).unwrap_or_default()
}

/// An IPv6 socket can be bound to an IPv4 address, which is then written `::ffff:127.0.0.1`.
fn same(bound: IpAddr, ip: IpAddr) -> bool {
    bound.to_canonical() == ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_address_gets_the_connection() {
        let row = |text: &str, owner: u32| (text.parse::<SocketAddr>().unwrap(), owner);
        let all = [
            row("127.0.0.1:1", 10),
            row("0.0.0.0:1", 11),
            row("[::]:1", 12),
            row("127.0.0.2:1", 13),
            row("0.0.0.0:2", 20),
            row("[::]:2", 21),
            row("[::]:3", 30),
            row("[::ffff:127.0.0.1]:4", 40),
            row("[::1]:5", 50),
            row("127.0.0.1:6", 60),
            row("127.0.0.1:6", 61),
        ];
        let cases: [(&str, &[u32]); 11] = [
            ("127.0.0.1:1", &[10]),
            ("127.0.0.3:1", &[11]),
            ("[::1]:1", &[12]),
            ("127.0.0.1:2", &[20]),
            ("[::1]:2", &[21]),
            ("127.0.0.1:3", &[30]),
            ("127.0.0.1:4", &[40]),
            ("[::1]:5", &[50]),
            ("127.0.0.1:5", &[]),
            ("127.0.0.1:6", &[60, 61]),
            ("127.0.0.1:7", &[]),
        ];
        for (addr, expected) in cases {
            assert_eq!(takers(&all, addr.parse().unwrap()), expected, "{addr}");
        }
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn a_listener_of_our_own_is_found_and_nobody_after_it() {
        let me = std::process::id();
        for place in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = std::net::TcpListener::bind(place) else { continue };
            let mut addr = listener.local_addr().unwrap();
            if addr.ip().is_unspecified() {
                addr.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            assert!(is_listening(addr, me).unwrap(), "{place}");
            assert!(!is_listening(addr, parent()).unwrap_or(false), "{place}");
            assert_eq!(owner(addr).unwrap(), Some(me), "{place}");
            drop(listener);
            assert!(!is_listening(addr, me).unwrap(), "{place}");
            assert_eq!(owner(addr).unwrap(), None, "{place}");
        }
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn the_other_end_of_a_connection_is_found_while_it_is_open() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(place) else { continue };
            let addr = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(addr).unwrap();
            let (accepted, there) = listener.accept().unwrap();
            let open = Connection { here: addr, there };
            let never = Connection { here: addr, there: SocketAddr::new(addr.ip(), addr.port()) };
            let me = std::process::id();
            assert_eq!(peers(&[never, open]).unwrap(), [None, Some(me)], "{place}");
            drop((client, accepted));
            assert_eq!(peers(&[open]).unwrap(), [None], "{place}");
        }
        assert_eq!(peers(&[]).unwrap(), []);
    }

    #[cfg(not(target_os = "macos"))]
    fn parent() -> u32 {
        let above = crate::process::ancestors(std::process::id()).unwrap();
        above.first().map_or(1, |parent| parent.pid)
    }
}
