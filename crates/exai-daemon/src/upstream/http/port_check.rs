//! Checks which process listens at a server's address: one of its own tree, none, or a stranger.
//!
//! Any program may take a port. Messages for a server are sent to no other program, so the daemon checks before and after
//! each connection is made, and once a second.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use exai_mux::InstanceId;
use exai_os::port;
use exai_os::process::{self, Identity};
use exai_supervisor::tree;

use crate::observe::port_owner::PortOwner;
use crate::observe::process_monitor::ProcessMonitor;

/// The check of one server's addresses.
#[derive(Debug)]
pub(super) struct PortCheck {
    monitor: ProcessMonitor,
    instance: InstanceId,
    addrs: Vec<SocketAddr>,
    /// The process that listened at the last check.
    known: Mutex<Option<(SocketAddr, Identity)>>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortState {
    /// A process of the server's own tree.
    Own(SocketAddr),
    /// No process of the tree, and no stranger.
    Nobody,
    /// A stranger, at each of the addresses; in words, such as `127.0.0.1:9001 is held by python3 server.py (pid 12)`.
    Stranger(String),
}

impl PortCheck {
    pub(super) fn new(monitor: ProcessMonitor, instance: InstanceId, addrs: Vec<SocketAddr>) -> Self {
        PortCheck { monitor, instance, addrs, known: Mutex::new(None) }
    }

    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Checks. Takes a fraction of a millisecond while the same process listens as before, otherwise one pass over the
    /// process table.
    pub(super) fn check_port(&self) -> PortState {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((addr, identity)) = known
            && still_listens(addr, &identity)
        {
            return PortState::Own(addr);
        }
        match self.search() {
            // A process may have been born between the two reads that a search consists of.
            PortState::Stranger(_) => self.search(),
            seen => seen,
        }
    }

    fn search(&self) -> PortState {
        let (mut stranger, mut free) = (None, false);
        for &addr in &self.addrs {
            // This is cheaper than all that follows, and mostly enough.
            if matches!(port::owner(addr), Ok(None)) {
                free = true;
                continue;
            }
            let table = process::snapshot().unwrap_or_default();
            let tree = self.monitor.tree(self.instance);
            let members = tree.as_ref().map(|tree| tree.members(&table)).unwrap_or_default();
            let own = tree::listeners(&members, addr).unwrap_or_default();
            let own = members.iter().find(|member| own.contains(&member.pid));
            if let (Some(own), Some(root)) = (own, tree.as_ref().and_then(|tree| tree.root())) {
                let known = Some((addr, own.identity(&root.boot)));
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
                return PortState::Own(addr);
            }
            stranger = stranger.or_else(|| held_by(addr));
        }
        stranger.filter(|_| !free).map_or(PortState::Nobody, PortState::Stranger)
    }
}

/// The order matters: a pid that now belongs to another process cannot have listened before *and* be the same process
/// after.
fn still_listens(addr: SocketAddr, identity: &Identity) -> bool {
    port::is_listening(addr, identity.pid).unwrap_or(false)
        && process::identify(identity.pid).ok().flatten().as_ref() == Some(identity)
}

/// The holder of these addresses, in words. `None` when one of the addresses is free.
pub(super) fn holder(addrs: &[SocketAddr]) -> Option<String> {
    let holders: Option<Vec<String>> = addrs.iter().copied().map(held_by).collect();
    holders?.into_iter().next()
}

fn held_by(addr: SocketAddr) -> Option<String> {
    match PortOwner::of(addr) {
        PortOwner::Nobody => None,
        somebody => Some(format!("{addr} is held by {somebody}")),
    }
}
