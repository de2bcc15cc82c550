//! Free ports for the servers that tests start.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::mem;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::random::Random;

/// The first port to try. It lies below the ports that systems assign for port 0 (Linux from 32768, macOS and Windows
/// from 49152), so a daemon that asks for any port never gets one of these.
const FIRST: usize = 20_000;
const COUNT: usize = 12_000;

/// A port that no program listens on, and that no other call gets while this process lives: tests run side by side, and
/// each listens on its ports only later.
///
/// # Panics
/// When a thousand ports, chosen at random, are all taken.
pub fn free_port() -> u16 {
    let mut random = Random::new(RandomState::new().build_hasher().finish());
    let mut ports = (0..1000).map(|_| (FIRST + random.below(COUNT)) as u16);
    ports.find(|port| claim(*port)).expect("a free port")
}

/// Claims a port for this process, if no program listens on it and no other call has claimed it. The claim is a UDP socket
/// with the same number: nothing here speaks UDP, one process gets it, and it goes with that process.
fn claim(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    let Ok(socket) = UdpSocket::bind(address) else { return false };
    if TcpListener::bind(address).is_err() {
        return false;
    }
    mem::forget(socket);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let port = free_port();
        assert!(!claim(port));
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free for TCP");
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_given() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(!claim(listener.local_addr().expect("an address").port()));
    }
}
