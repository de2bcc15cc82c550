use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, MIB_TCP_STATE_ESTAB, MIB_TCP6ROW_OWNER_PID, MIB_TCP6TABLE_OWNER_PID,
    MIB_TCPROW_OWNER_PID, MIB_TCPTABLE_OWNER_PID, TCP_TABLE_CLASS, TCP_TABLE_OWNER_PID_CONNECTIONS,
    TCP_TABLE_OWNER_PID_LISTENER,
};

use crate::port::{Connection, takers};

/// `AF_INET` and `AF_INET6` of winsock2.h.
const V4: u32 = 2;
const V6: u32 = 23;

pub(crate) fn is_listening(addr: SocketAddr, pid: u32) -> io::Result<bool> {
    let owners = takers(&listening()?, addr);
    Ok(!owners.is_empty() && owners.iter().all(|owner| *owner == pid))
}

pub(crate) fn owner(addr: SocketAddr) -> io::Result<Option<u32>> {
    Ok(takers(&listening()?, addr).first().copied())
}

pub(crate) fn peers(connections: &[Connection]) -> io::Result<Vec<Option<u32>>> {
    if connections.is_empty() {
        return Ok(Vec::new());
    }
    let mut open = sockets(TCP_TABLE_OWNER_PID_CONNECTIONS)?;
    open.retain(|socket| socket.state == MIB_TCP_STATE_ESTAB as u32);
    let owner = |connection: &Connection| {
        let ends = (connection.there, connection.here);
        open.iter().find(|socket| (socket.local, socket.remote) == ends).map(|socket| socket.pid)
    };
    Ok(connections.iter().map(owner).collect())
}

/// The listening sockets: address and process.
fn listening() -> io::Result<Vec<(SocketAddr, u32)>> {
    let all = sockets(TCP_TABLE_OWNER_PID_LISTENER)?;
    Ok(all.into_iter().map(|socket| (socket.local, socket.pid)).collect())
}

/// A socket, with the process that has it.
struct Socket {
    state: u32,
    local: SocketAddr,
    remote: SocketAddr,
    pid: u32,
}

/// The sockets of this kind.
fn sockets(kind: TCP_TABLE_CLASS) -> io::Result<Vec<Socket>> {
    let start = std::mem::offset_of!(MIB_TCPTABLE_OWNER_PID, table);
    let v4 = rows::<MIB_TCPROW_OWNER_PID>(V4, start, kind)?;
    let start = std::mem::offset_of!(MIB_TCP6TABLE_OWNER_PID, table);
    let v6 = rows::<MIB_TCP6ROW_OWNER_PID>(V6, start, kind)?;
    let v4 = v4.iter().map(|row| {
        let address = |ip: u32, port| socket_addr(Ipv4Addr::from(ip.to_ne_bytes()).into(), port);
        Socket {
            state: row.dwState,
            local: address(row.dwLocalAddr, row.dwLocalPort),
            remote: address(row.dwRemoteAddr, row.dwRemotePort),
            pid: row.dwOwningPid,
        }
    });
    let v6 = v6.iter().map(|row| Socket {
        state: row.dwState,
        local: socket_addr(Ipv6Addr::from(row.ucLocalAddr).into(), row.dwLocalPort),
        remote: socket_addr(Ipv6Addr::from(row.ucRemoteAddr).into(), row.dwRemotePort),
        pid: row.dwOwningPid,
    });
    Ok(v4.chain(v6).collect())
}

/// The port stands in the first two bytes, in network order.
fn socket_addr(ip: IpAddr, port: u32) -> SocketAddr {
    let [high, low, ..] = port.to_ne_bytes();
    SocketAddr::new(ip, u16::from_be_bytes([high, low]))
}

/// The rows of the table of one family, which begin `start` bytes into it. `Row` must be its row.
fn rows<Row: Copy>(family: u32, start: usize, kind: TCP_TABLE_CLASS) -> io::Result<Vec<Row>> {
    let mut bytes = 16 * 1024_u32;
    loop {
        // Numbers of 32 bits, because the table must be aligned like its fields.
        let mut table = vec![0_u32; bytes.div_ceil(4) as usize];
        bytes = table.len() as u32 * 4;
        // SAFETY: the buffer is as long as the size given.
        let result =
            unsafe { GetExtendedTcpTable(table.as_mut_ptr().cast(), &raw mut bytes, 0, family, kind, 0) };
        match result {
            NO_ERROR => {
                let room = (table.len() * 4).saturating_sub(start) / size_of::<Row>();
                let count = (table[0] as usize).min(room);
                // SAFETY: the call filled in `count` rows of plain numbers from `start` on, all within the
                // buffer; their fields are at most 32 bits wide, as the buffer is aligned.
                let rows =
                    unsafe { std::slice::from_raw_parts(table.as_ptr().byte_add(start).cast(), count) };
                return Ok(rows.to_vec());
            }
            // `bytes` now says how much there is; sockets may come in between.
            ERROR_INSUFFICIENT_BUFFER => bytes = bytes.saturating_add(4096),
            error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
}
