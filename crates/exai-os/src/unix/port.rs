//! Linux: netlink or /proc/net lists the sockets, and /proc/PID/fd tells which process has them. Other systems have
//! no /proc.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;

use crate::port::{Connection, takers};

/// `TCP_ESTABLISHED` and `TCP_LISTEN` of the kernel's tcp_states.h.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

pub(crate) fn is_listening(addr: SocketAddr, pid: u32) -> io::Result<bool> {
    let sockets = takers(&listening()?, addr);
    if sockets.is_empty() {
        return Ok(false);
    }
    let held = match sockets_of(pid) {
        Ok(held) => held,
        Err(error) if is_gone(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(sockets.iter().all(|socket| held.contains(socket)))
}

pub(crate) fn owner(addr: SocketAddr) -> io::Result<Option<u32>> {
    let sockets = takers(&listening()?, addr);
    if sockets.is_empty() {
        return Ok(None);
    }
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Processes of other accounts cannot be read, and some processes end meanwhile.
        if sockets_of(pid).is_ok_and(|held| held.iter().any(|socket| sockets.contains(socket))) {
            return Ok(Some(pid));
        }
    }
    // The socket may have been closed during the search.
    if takers(&listening()?, addr).iter().any(|socket| sockets.contains(socket)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(None)
}

pub(crate) fn peers(connections: &[Connection]) -> io::Result<Vec<Option<u32>>> {
    let sockets = connections.iter().map(other_end).collect::<io::Result<Vec<_>>>()?;
    let mut holders: HashMap<u64, Vec<u32>> =
        sockets.iter().flatten().map(|inode| (*inode, Vec::new())).collect();
    if holders.is_empty() {
        return Ok(vec![None; connections.len()]);
    }
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        for inode in sockets_of(pid).unwrap_or_default() {
            // A process may have two descriptors of one socket.
            if let Some(pids) = holders.get_mut(&inode).filter(|pids| !pids.contains(&pid)) {
                pids.push(pid);
            }
        }
    }
    let only = |inode: Option<u64>| match holders.get(&inode?)?[..] {
        [pid] => Some(pid),
        _ => None,
    };
    Ok(sockets.into_iter().map(only).collect())
}

/// The socket at the other end of a connection; none when the connection is closed.
fn other_end(connection: &Connection) -> io::Result<Option<u64>> {
    #[cfg(target_os = "linux")]
    if let Ok(inode) = super::sock_diag::established(connection.there, connection.here) {
        return Ok(inode);
    }
    other_end_by_proc(connection)
}

pub(super) fn other_end_by_proc(connection: &Connection) -> io::Result<Option<u64>> {
    let all = rows_of_proc(ESTABLISHED)?;
    let found = all.iter().find(|row| (row.local, row.remote) == (connection.there, connection.here));
    // A socket that no process has has no inode.
    Ok(found.map(|row| row.inode).filter(|inode| *inode != 0))
}

/// The listening sockets of this network namespace: address and inode.
fn listening() -> io::Result<Vec<(SocketAddr, u64)>> {
    #[cfg(target_os = "linux")]
    if let Ok(all) = super::sock_diag::listening() {
        return Ok(all);
    }
    // A sandbox, or a kernel built without it.
    listening_by_proc()
}

pub(super) fn listening_by_proc() -> io::Result<Vec<(SocketAddr, u64)>> {
    Ok(rows_of_proc(LISTEN)?.into_iter().map(|row| (row.local, row.inode)).collect())
}

/// A socket.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    inode: u64,
}

/// The sockets in this state.
fn rows_of_proc(state: &str) -> io::Result<Vec<Row>> {
    let mut all = Vec::new();
    match fs::read_to_string("/proc/net/tcp") {
        Ok(table) => all.extend(table.lines().filter_map(|line| row(line, state))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Err(error) => return Err(error),
    }
    match fs::read_to_string("/proc/net/tcp6") {
        Ok(table) => all.extend(table.lines().filter_map(|line| row(line, state))),
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(all)
}

/// `  0: 0100007F:1F8F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …`, see
/// proc_net_tcp(5). `None` for the header and for sockets in another state.
fn row(line: &str, state: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let remote = fields.next()?;
    let its = fields.next()?;
    let inode = fields.nth(5)?;
    if its != state {
        return None;
    }
    Some(Row { local: address(local)?, remote: address(remote)?, inode: inode.parse().ok()? })
}

fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    Some(SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// The address in words of 32 bits, each as a number of this machine in hexadecimal digits.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let octets = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
        }
        _ => None,
    }
}

/// The inodes of the sockets that a process has open.
fn sockets_of(pid: u32) -> io::Result<Vec<u64>> {
    let mut inodes = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A descriptor may be closed during the search.
        let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(inodes)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::process::Command;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_are_read_and_only_those_in_the_state_that_is_meant() {
        let v4 = "   0: 0100007F:1F8F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
        let v6 = "   3: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A \
                  00000000:00000000 00:00000000 00000000     0        0 4712 1 0";
        let expected = |local: &str, remote: &str, inode| {
            Some(Row { local: local.parse().unwrap(), remote: remote.parse().unwrap(), inode })
        };
        assert_eq!(row(v4, LISTEN), expected("127.0.0.1:8079", "0.0.0.0:0", 4711));
        assert_eq!(row(v6, LISTEN), expected("[::1]:443", "[::]:0", 4712));
        assert_eq!(row(&v4.replace(" 0A ", " 01 "), LISTEN), None);
        assert_eq!(row(&v4.replace(" 0A ", " 01 "), ESTABLISHED).map(|row| row.inode), Some(4711));
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!(row(head, LISTEN), None);
        assert_eq!(row("", LISTEN), None);
    }

    #[test]
    fn an_end_that_two_processes_have_is_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(here).unwrap();
        let connection = Connection { here, there: client.local_addr().unwrap() };
        assert_eq!(peers(&[connection]).unwrap(), [Some(std::process::id())]);
        let shared = OwnedFd::from(client.try_clone().unwrap());
        let mut child = Command::new("sleep").arg("60").stdin(shared).spawn().unwrap();
        let shared = peers(&[connection]).unwrap();
        drop(client);
        let left = peers(&[connection]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((shared, left), (vec![None], vec![Some(child.id())]));
    }

    #[test]
    fn a_listener_of_a_child_is_the_childs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // The child has the socket as its stdin. This process closes its own copy when the command is dropped.
        let mut child = Command::new("sleep").arg("60").stdin(OwnedFd::from(listener)).spawn().unwrap();
        let found = (owner(addr).unwrap(), is_listening(addr, child.id()).unwrap());
        let ours = is_listening(addr, std::process::id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, (Some(child.id()), true));
        assert!(!ours);
        assert!(!is_listening(addr, child.id()).unwrap(), "it is gone");
    }
}
