//! What is there: whether a daemon answers, starts, ends or hangs.

use std::io;
use std::time::Instant;

use exai_os::process;
use exai_proto::documents::DaemonRecord;

use crate::daemon_record::process_lives;
use crate::door::{Door, Probe};
use crate::door_error::DoorError;
use crate::limits::HELLO_TIMEOUT;
use crate::link::{Link, LinkError, OpenError};

/// What [`Door::look`] found.
#[derive(Debug)]
pub enum Sight {
    /// A daemon answers.
    Answering(Box<Link>),
    /// A daemon answers, and will not serve us.
    Refusing {
        /// Why.
        error: LinkError,
        /// Its process, by the kernel's word.
        process: Option<process::Identity>,
    },
    /// A daemon lives. It has no record yet, or one of a daemon before it.
    Starting,
    /// A daemon lives that listens no more.
    Stopping(Box<DaemonRecord>),
    /// A daemon lives, says that it is ready, and does not answer.
    Wedged {
        /// What it said of itself.
        record: Box<DaemonRecord>,
        /// What came instead of an answer.
        error: LinkError,
        /// Its process, by the kernel's word for who listens there.
        process: Option<process::Identity>,
    },
    /// A record claims a daemon, and none lives.
    Stale(Box<DaemonRecord>),
    /// No daemon, no record.
    Nothing,
}

impl Door {
    /// What is there, without changing anything.
    pub fn look(&self) -> Result<Sight, DoorError> {
        let probe = self.probe(Instant::now() + HELLO_TIMEOUT);
        Ok(match (probe, self.daemon_lives()?) {
            (Probe::Link(link), _) => Sight::Answering(link),
            (Probe::Refused(OpenError { error, process }), _) => Sight::Refusing { error, process },
            (Probe::NoRecord, true) => Sight::Starting,
            (Probe::NoRecord, false) => Sight::Nothing,
            (Probe::Failed(record, _), false) => Sight::Stale(record),
            (Probe::Failed(record, OpenError { error, process }), true) => {
                // Who listens and does not answer is there, whatever a record says.
                let lives = process.is_some() || process_lives(&record.identity);
                match (lives, nobody_listens(&error)) {
                    (false, _) => Sight::Starting,
                    (true, true) => Sight::Stopping(record),
                    (true, false) => Sight::Wedged { record, error, process },
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
