//! Which TCP sockets there are, asked over netlink: see sock_diag(7). Reading /proc/net/tcp instead means walking
//! the table of all connections, which takes milliseconds even where there are none.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`, and the same with `NLM_F_DUMP`.
const ONE: u16 = 0x001;
const DUMP: u16 = 0x301;
/// `NLM_F_MULTI`: there are more messages of this answer.
const MULTI: u16 = 0x002;
/// `AF_INET` and `AF_INET6`.
const V4: u8 = 2;
const V6: u8 = 10;
const TCP: u8 = 6;
/// States, as they are bits in a set of them: `TCP_ESTABLISHED` and `TCP_LISTEN`.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// `struct nlmsghdr`, and with it `struct inet_diag_req_v2`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`.
const ROW: usize = 72;

/// A socket.
struct Row {
    state: u8,
    local: SocketAddr,
    remote: SocketAddr,
    inode: u64,
}

/// The listening sockets of this network namespace: address and inode.
pub(super) fn listening() -> io::Result<Vec<(SocketAddr, u64)>> {
    let mut all = Vec::new();
    for family in [V4, V6] {
        ask(&request(family, DUMP, LISTEN), &mut all)?;
    }
    Ok(all.into_iter().map(|row| (row.local, row.inode)).collect())
}

/// The inode of the socket with these two ends; none where there is no such connection, or it is closed at that end.
pub(super) fn established(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u64>> {
    let family = if local.is_ipv4() { V4 } else { V6 };
    let mut bytes = request(family, ONE, ESTABLISHED);
    let id = &mut bytes[HEADER + 8..];
    id[0..2].copy_from_slice(&local.port().to_be_bytes());
    id[2..4].copy_from_slice(&remote.port().to_be_bytes());
    put_ip(&mut id[4..20], local.ip());
    put_ip(&mut id[20..36], remote.ip());
    // `INET_DIAG_NOCOOKIE`
    id[40..48].fill(0xff);
    let mut rows = Vec::new();
    match ask(&bytes, &mut rows) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    // Without such a connection the kernel names the socket that listens at the address.
    let found =
        rows.iter().find(|row| row.state == ESTABLISHED && (row.local, row.remote) == (local, remote));
    // A socket that no process has has no inode.
    Ok(found.map(|row| row.inode).filter(|inode| *inode != 0))
}

fn put_ip(place: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => place[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => place.copy_from_slice(&ip.octets()),
    }
}

/// Asks, and reads all of the answer.
fn ask(request: &[u8], rows: &mut Vec<Row>) -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&socket, request, SendFlags::empty())?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (count, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if read(&buffer[..count], rows)? {
            return Ok(());
        }
    }
}

fn request(family: u8, flags: u16, state: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = TCP;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&(1_u32 << state).to_ne_bytes());
    bytes
}

/// Reads the messages of one packet; true at the end of the answer.
fn read(mut packet: &[u8], all: &mut Vec<Row>) -> io::Result<bool> {
    while let Some(header) = packet.get(..HEADER) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = packet.get(HEADER..length).ok_or_else(broken)?;
        match u16::from_ne_bytes([header[4], header[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = body.get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
                return Err(io::Error::from_raw_os_error(-code));
            }
            _ => all.extend(row(body)),
        }
        if u16::from_ne_bytes([header[6], header[7]]) & MULTI == 0 {
            return Ok(true);
        }
        // Messages begin at multiples of four.
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`: family, state, timer, retrans; source and destination port in network order; source
/// and destination address; interface, cookie; expires, rqueue, wqueue, uid, inode.
fn row(body: &[u8]) -> Option<Row> {
    let body: &[u8; ROW] = body.get(..ROW)?.try_into().ok()?;
    let address = |port: usize, ip: usize| {
        let ip: IpAddr = match body[0] {
            V4 => Ipv4Addr::new(body[ip], body[ip + 1], body[ip + 2], body[ip + 3]).into(),
            V6 => Ipv6Addr::from(<[u8; 16]>::try_from(&body[ip..ip + 16]).ok()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes([body[port], body[port + 1]])))
    };
    let inode = u32::from_ne_bytes([body[68], body[69], body[70], body[71]]);
    Some(Row { state: body[1], local: address(4, 8)?, remote: address(6, 24)?, inode: inode.into() })
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer of sock_diag has an unknown form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_the_same_as_proc() {
        let held: Vec<_> =
            ["127.0.0.1:0", "[::1]:0"].iter().filter_map(|at| std::net::TcpListener::bind(at).ok()).collect();
        let asked = listening().unwrap();
        let shown = super::super::port::listening_by_proc().unwrap();
        for listener in &held {
            let addr = listener.local_addr().unwrap();
            let find = |all: &[(SocketAddr, u64)]| all.iter().find(|(at, _)| *at == addr).copied();
            assert!(find(&asked).is_some());
            assert_eq!(find(&asked), find(&shown));
        }
    }

    #[test]
    fn it_says_the_same_as_proc_of_a_connection() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(at) else { continue };
            let here = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(here).unwrap();
            let there = client.local_addr().unwrap();
            let shown = |here, there| {
                super::super::port::other_end_by_proc(&crate::port::Connection { here, there }).unwrap()
            };
            let inode = established(there, here).unwrap();
            assert!(inode.is_some_and(|inode| inode != 0), "{at}");
            assert_eq!(inode, shown(here, there), "{at}");
            assert_eq!(established(here, there).unwrap(), None, "it waits to be accepted");
            let (_accepted, _) = listener.accept().unwrap();
            let ours = established(here, there).unwrap();
            assert!(ours.is_some() && ours != inode, "{at}");
            assert_eq!(
                established(here, here).unwrap(),
                None,
                "who listens is not at an end of a connection"
            );
            drop(client);
            assert_eq!((established(there, here).unwrap(), shown(here, there)), (None, None), "{at}");
        }
    }

    #[test]
    fn half_a_message_is_no_message() {
        let mut all = Vec::new();
        assert!(!read(&[], &mut all).unwrap());
        assert!(read(&[200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &mut all).is_err());
        assert!(row(&[2; 40]).is_none());
    }
}
