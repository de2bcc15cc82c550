//! What the daemon is: what does not change while it runs, where it listens, and the file that configures it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use exai_proto::documents::{Detached, Launcher, Listener};

use crate::state::config_file::ConfigFile;

/// What does not change while the daemon runs, where it listens, and the file that configures it.
#[derive(Debug)]
pub(crate) struct DaemonInfo {
    pub(crate) instance: String,
    pub(crate) pid: u32,
    pub(crate) identity: exai_os::process::Identity,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) exe: String,
    pub(crate) home: String,
    pub(crate) launchers: Vec<Launcher>,
    pub(crate) detached: Detached,
    /// The local socket: another one, should somebody remove it.
    pub(crate) local: Mutex<String>,
    pub(crate) tcp: Mutex<Vec<Tcp>>,
    pub(crate) config: ConfigFile,
}

/// One TCP address the daemon wants to serve.
#[derive(Debug, Clone)]
pub(crate) enum Tcp {
    Open(SocketAddr),
    /// It could not be bound; it is tried again.
    Missing {
        addr: SocketAddr,
        reason: String,
    },
}

impl Tcp {
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Tcp::Open(addr) | Tcp::Missing { addr, .. } => *addr,
        }
    }
}

impl DaemonInfo {
    pub(crate) fn local(&self) -> String {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_local(&self, address: String) {
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    pub(crate) fn tcp(&self) -> Vec<Tcp> {
        self.tcp.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the daemon listens: what it has bound itself.
    pub(crate) fn bound(&self) -> Vec<Listener> {
        let listener = |kind: &str, addr: String| Listener {
            kind: kind.to_owned(),
            addr,
            owner_pid: Some(self.pid),
            verified: true,
        };
        let tcp = self.tcp().into_iter().filter_map(|tcp| match tcp {
            Tcp::Open(addr) => Some(listener("tcp", addr.to_string())),
            Tcp::Missing { .. } => None,
        });
        [listener("local", self.local())].into_iter().chain(tcp).collect()
    }

    /// Where the daemon listens, and what the system says now about who does. Takes milliseconds. The local
    /// socket's name was made for this daemon alone, so there is nobody to ask about it.
    pub(crate) fn verified(&self) -> Vec<Listener> {
        let check = |listener: Listener| match listener.addr.parse() {
            Ok(addr) if listener.kind == "tcp" => {
                let verified = exai_os::port::is_listening(addr, self.pid).unwrap_or(false);
                let owner_pid =
                    if verified { Some(self.pid) } else { exai_os::port::owner(addr).ok().flatten() };
                Listener { owner_pid, verified, ..listener }
            }
            Ok(_) | Err(_) => listener,
        };
        self.bound().into_iter().map(check).collect()
    }
}
