//! Free ports for the servers that tests start.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;

use crate::random::Random;

/// The first port to try. It lies below the ports that systems assign for port 0 (Linux from 32768, macOS and Windows
/// from 49152), so a daemon that asks for any port never gets one of these.
const FIRST: usize = 20_000;
const COUNT: usize = 12_000;

/// A port that no program listens on.
///
/// # Panics
/// When a thousand ports, chosen at random, are all taken.
pub fn free_port() -> u16 {
    let mut random = Random::new(RandomState::new().build_hasher().finish());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..1000).map(|_| (FIRST + random.below(COUNT)) as u16).find(is_free).expect("a free port")
}
