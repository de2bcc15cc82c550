//! Linux: /proc/net lists the sockets, and /proc/PID/fd says who has them. Other systems have no /proc.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;

use crate::port::takers;

/// `TCP_LISTEN` of the kernel's tcp_states.h.
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
        // Other accounts' processes cannot be looked into, and some end meanwhile.
        if sockets_of(pid).is_ok_and(|held| held.iter().any(|socket| sockets.contains(socket))) {
            return Ok(Some(pid));
        }
    }
    // It may have been closed while we searched.
    if takers(&listening()?, addr).iter().any(|socket| sockets.contains(socket)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(None)
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
    let mut all = Vec::new();
    match fs::read_to_string("/proc/net/tcp") {
        Ok(table) => all.extend(table.lines().filter_map(row)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Err(error) => return Err(error),
    }
    match fs::read_to_string("/proc/net/tcp6") {
        Ok(table) => all.extend(table.lines().filter_map(row)),
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(all)
}

/// `  0: 0100007F:1F8F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …`, see
/// proc_net_tcp(5). `None` for the header and for sockets that do not listen.
fn row(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    if state != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let addr = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some((addr, inode.parse().ok()?))
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
        // A descriptor may be closed while we look.
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
    fn rows_are_read_and_only_those_that_listen() {
        let v4 = "   0: 0100007F:1F8F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
        let v6 = "   3: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A \
                  00000000:00000000 00:00000000 00000000     0        0 4712 1 0";
        assert_eq!(row(v4), Some(("127.0.0.1:8079".parse().unwrap(), 4711)));
        assert_eq!(row(v6), Some(("[::1]:443".parse().unwrap(), 4712)));
        assert_eq!(row(&v4.replace(" 0A ", " 01 ")), None);
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"), None);
        assert_eq!(row(""), None);
    }

    #[test]
    fn a_listener_of_a_child_is_the_childs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // It has our socket as its stdin; we have it no more once the command is gone.
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
