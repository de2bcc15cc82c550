//! The start of a server that opens a port of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_mux::InstanceId;
use exai_os::clock;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::connect::{Failed, OwnTree};
use super::port_check::{PortCheck, PortState};
use super::target::OwnTarget;
use crate::observe::process_monitor::ProcessMonitor;

/// How often the port is checked until the server listens; less often once that has taken long.
const STEP: Duration = Duration::from_millis(20);
const LONG_STEP: Duration = Duration::from_millis(100);
/// From when on it has taken long.
const LONG: Duration = Duration::from_secs(2);

/// What the daemon waits for the server to do, in words that read after "the server"; nothing once the server has done it.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Wish(Arc<Mutex<Option<String>>>);

impl Wish {
    pub(in crate::upstream) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The start of a server that opens a port of its own.
#[derive(Debug)]
pub(in crate::upstream) struct Startup {
    pub(super) tree: Arc<OwnTree>,
    monitor: ProcessMonitor,
    instance: InstanceId,
    wish: Wish,
    deadline: Instant,
}

impl Startup {
    /// Begins to wait for the server of this instance.
    pub(in crate::upstream) fn begin(
        target: &OwnTarget,
        instance: InstanceId,
        monitor: ProcessMonitor,
    ) -> Self {
        monitor.set_address(instance, target.addr());
        let tree = OwnTree::new(PortCheck::new(monitor.clone(), instance, target.addrs.clone()));
        Startup {
            tree: Arc::new(tree),
            monitor,
            instance,
            wish: Wish(Arc::new(Mutex::new(Some(target.wish())))),
            deadline: clock::now() + target.start_timeout,
        }
    }

    pub(in crate::upstream) fn wish(&self) -> Wish {
        self.wish.clone()
    }

    /// Waits until a process of the server's own tree listens. The error reads after "the server".
    pub(in crate::upstream) async fn wait_until_listening(&self) -> Result<(), String> {
        let begun = clock::now();
        loop {
            match self.tree.check_port().await {
                PortState::Own(addr) => {
                    self.monitor.set_address(self.instance, addr);
                    self.wish.clear();
                    return Ok(());
                }
                PortState::Stranger(who) => {
                    return Err(format!("is not ready: {who}, which is no process of this server"));
                }
                PortState::Nobody => {}
            }
            if clock::now() >= self.deadline {
                let limit = self.deadline.duration_since(begun).as_secs();
                return Err(format!("{} after {limit} s", self.wish.get().unwrap_or_default()));
            }
            sleep(if clock::now() < begun + LONG { STEP } else { LONG_STEP }).await;
        }
    }

    /// Connects to a process of the server's own tree. The error reads after "the server".
    pub(in crate::upstream) async fn connect(&self) -> Result<TcpStream, String> {
        self.tree.connect().await.map_err(|failed| match failed {
            Failed::Unsent(reason) | Failed::Lost(reason) | Failed::Forsaken(reason) => reason,
            Failed::SignedOut(wanted) => wanted.reason,
        })
    }
}
