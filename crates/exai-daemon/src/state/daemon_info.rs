//! What the daemon knows of itself.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use exai_proto::documents::{Detached, Launcher, Listener};

use crate::state::admission::Admission;
use crate::state::config_file::ConfigFile;

/// What does not change while the daemon runs, where it listens, the file that configures it, and who is let in.
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
    /// The address of the local socket. It changes when the socket was removed and bound anew.
    pub(crate) local: Mutex<String>,
    pub(crate) tcp: Mutex<Vec<Tcp>>,
    pub(crate) config: ConfigFile,
    pub(crate) admission: Admission,
}

/// One TCP address that the daemon wants to serve.
#[derive(Debug, Clone)]
pub(crate) enum Tcp {
    Open(SocketAddr),
    /// The address could not be bound; the daemon tries again.
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

    /// The addresses that the daemon has bound.
    pub(crate) fn bound_listeners(&self) -> Vec<Listener> {
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

    /// The addresses that the daemon has bound, each with the process that the system says is listening there now. Takes
    /// milliseconds. The local socket is not checked: its name was made for this daemon alone.
    pub(crate) fn verify_listeners(&self) -> Vec<Listener> {
        let check = |listener: Listener| match listener.addr.parse() {
            Ok(addr) if listener.kind == "tcp" => {
                let verified = exai_os::port::is_listening(addr, self.pid).unwrap_or(false);
                let owner_pid =
                    if verified { Some(self.pid) } else { exai_os::port::owner(addr).ok().flatten() };
                Listener { owner_pid, verified, ..listener }
            }
            Ok(_) | Err(_) => listener,
        };
        self.bound_listeners().into_iter().map(check).collect()
    }
}
