//! The shim: an MCP server over stdio to its client, one link to the daemon behind it.
//!
//! Three threads, each blocked in one place:
//! - *uplink* reads stdin and writes to the daemon, all complete lines of one read at once;
//! - *downlink* finds a daemon, writes what waited for it, reads from it and writes to stdout, all complete messages
//!   of one read at once, and finds another when this one is gone;
//! - *timekeeping*, the caller's own thread, waits for the end and for what is due at a time. It never writes to the
//!   daemon, since it must be able to end the wait of a thread that is blocked in such a write (`heartbeat.rs`).
//!
//! [`Session`], which has no I/O, decides what is written to the daemon and to the client. Locks are taken in the
//! order `writer`, `state`; `output` is taken alone. No thread holds `state` while it is blocked in I/O.

use std::io::{self, Read, Write};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::daemon_route::DaemonRoute;
use crate::route_error::RouteError;
use crate::session::Session;

mod downlink;
mod finding;
mod heartbeat;
mod link_loss_backoff;
mod liveness;
mod outgoing;
mod shared;
mod timekeeping;
mod uplink;

use shared::{SharedState, Shim, lock};

/// Why a shim ended without having served its client.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The system has no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// No route leads to a daemon, and trying again would not change that.
    #[error(transparent)]
    NoWay(#[from] RouteError),
}

/// Runs until `input` has ended (and at most 1.5 s longer) or `output` is closed. `report` shows problems to people.
/// An error before the first link ends the shim; later errors do not.
pub fn run<R, W>(way: DaemonRoute, input: R, output: W, report: fn(&str)) -> Result<(), ShimError>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let now = Instant::now();
    let state = SharedState {
        session: Session::new(now),
        input_ended: None,
        over: false,
        unflushed: false,
        tried: matches!(way, DaemonRoute::Local(_)),
        no_way: None,
        link: None,
        heard: now,
        heartbeat: None,
    };
    let shim = Arc::new(Shim {
        way,
        report,
        state: Mutex::new(state),
        changed: Condvar::new(),
        writer: Mutex::new(None),
        pong: Mutex::new(None),
        output: Mutex::new(output),
        part_taken: Mutex::new(None),
        writers_to_client: AtomicU32::new(0),
    });
    let (up, down) = (Arc::clone(&shim), Arc::clone(&shim));
    // These threads are not joined: at the end they are blocked in a read that only the end of the process can end.
    std::thread::Builder::new().name("downlink".to_owned()).spawn(move || down.downlink())?;
    std::thread::Builder::new().name("uplink".to_owned()).spawn(move || up.uplink(input))?;
    shim.keep_time();
    lock(&shim.state).no_way.take().map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests;
