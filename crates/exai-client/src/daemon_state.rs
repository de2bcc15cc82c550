//! The state of the daemon: whether it answers, starts, ends or hangs.

use std::io;
use std::time::Instant;

use exai_os::process;
use exai_proto::documents::DaemonRecord;

use crate::connect_error::ConnectError;
use crate::daemon_connector::{DaemonConnector, Probe};
use crate::daemon_record::process_lives;
use crate::limits::HELLO_TIMEOUT;
use crate::link::{Link, LinkError, OpenError};

/// What [`DaemonConnector::observe`] found.
#[derive(Debug)]
pub enum DaemonState {
    /// A daemon answers.
    Answering(Box<Link>),
    /// A daemon answers and refuses to serve this process.
    Refusing {
        /// Why.
        error: LinkError,
        /// Its process, by the kernel's word.
        process: Option<process::Identity>,
    },
    /// A daemon lives. Its record is not written yet, or is still that of an earlier daemon.
    Starting,
    /// A daemon lives and has stopped listening.
    Stopping(Box<DaemonRecord>),
    /// A daemon lives, says that it is ready, and does not answer.
    Wedged {
        /// What it said of itself.
        record: Box<DaemonRecord>,
        /// The error that came instead of an answer.
        error: LinkError,
        /// Its process, by the kernel's word for who listens there.
        process: Option<process::Identity>,
    },
    /// A record claims a daemon, and none lives.
    Stale(Box<DaemonRecord>),
    /// No daemon, no record.
    Absent,
}

impl DaemonConnector {
    /// The state of the daemon. Changes nothing.
    pub fn observe(&self) -> Result<DaemonState, ConnectError> {
        let probe = self.probe(Instant::now() + HELLO_TIMEOUT);
        Ok(match (probe, self.daemon_lives()?) {
            (Probe::Link(link), _) => DaemonState::Answering(link),
            (Probe::Refused(OpenError { error, process }), _) => DaemonState::Refusing { error, process },
            (Probe::NoRecord, true) => DaemonState::Starting,
            (Probe::NoRecord, false) => DaemonState::Absent,
            (Probe::Failed(record, _), false) => DaemonState::Stale(record),
            (Probe::Failed(record, OpenError { error, process }), true) => {
                // A process that listens without answering is there, whatever a record says.
                let lives = process.is_some() || process_lives(&record.identity);
                match (lives, nobody_listens(&error)) {
                    (false, _) => DaemonState::Starting,
                    (true, true) => DaemonState::Stopping(record),
                    (true, false) => DaemonState::Wedged { record, error, process },
                }
            }
        })
    }
}

fn nobody_listens(error: &LinkError) -> bool {
    match error {
        LinkError::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        }
        _ => false,
    }
}
