//! Which TCP sockets listen, asked over netlink: see sock_diag(7). Reading /proc/net/tcp instead means walking
//! the table of all connections, which takes milliseconds even where there are none.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// `AF_INET` and `AF_INET6`.
const V4: u8 = 2;
const V6: u8 = 10;
const TCP: u8 = 6;
/// The bit of `TCP_LISTEN` in a set of states.
const LISTEN: u32 = 1 << 10;
/// `struct nlmsghdr`, and with it `struct inet_diag_req_v2`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`.
const ROW: usize = 72;

/// The listening sockets of this network namespace: address and inode.
pub(super) fn listening() -> io::Result<Vec<(SocketAddr, u64)>> {
    let mut all = Vec::new();
    for family in [V4, V6] {
        dump(family, &mut all)?;
    }
    Ok(all)
}

fn dump(family: u8, all: &mut Vec<(SocketAddr, u64)>) -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&socket, &request(family), SendFlags::empty())?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (count, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if read(&buffer[..count], all)? {
            return Ok(());
        }
    }
}

fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = TCP;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&LISTEN.to_ne_bytes());
    bytes
}

/// Reads the messages of one packet; true at the end of the dump.
fn read(mut packet: &[u8], all: &mut Vec<(SocketAddr, u64)>) -> io::Result<bool> {
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
        // Messages begin at multiples of four.
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`: family, state, timer, retrans; source and destination port in network order; source
/// and destination address; interface, cookie; expires, rqueue, wqueue, uid, inode.
fn row(body: &[u8]) -> Option<(SocketAddr, u64)> {
    let body: &[u8; ROW] = body.get(..ROW)?.try_into().ok()?;
    let port = u16::from_be_bytes([body[4], body[5]]);
    let ip: IpAddr = match body[0] {
        V4 => Ipv4Addr::new(body[8], body[9], body[10], body[11]).into(),
        V6 => Ipv6Addr::from(<[u8; 16]>::try_from(&body[8..24]).ok()?).into(),
        _ => return None,
    };
    let inode = u32::from_ne_bytes([body[68], body[69], body[70], body[71]]);
    Some((SocketAddr::new(ip, port), inode.into()))
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
    fn half_a_message_is_no_message() {
        let mut all = Vec::new();
        assert!(!read(&[], &mut all).unwrap());
        assert!(read(&[200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &mut all).is_err());
        assert_eq!(row(&[2; 40]), None);
    }
}
