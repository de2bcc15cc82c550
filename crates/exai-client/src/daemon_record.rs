//! The record that a daemon leaves in its state directory, and the process that the record names.

use std::path::Path;

use exai_config::Home;
use exai_os::{lock, private, process};
use exai_proto::documents::{DaemonRecord, Identity};

use crate::limits::MAX_RECORD_BYTES;

/// The record, if there is one that can be read. A missing or broken one is no information.
pub fn read_record(home: &Home) -> Option<DaemonRecord> {
    let bytes = private::read(&home.daemon_record(), MAX_RECORD_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The process that holds a lock, where the system tells.
pub(crate) fn lock_holder(lock: &Path) -> Option<u32> {
    lock::holder(lock).ok().flatten()
}

/// Whether the process of a record lives: exactly that process, not another with the same pid.
pub fn process_lives(identity: &Identity) -> bool {
    let found = process::identify(identity.pid).ok().flatten();
    found.is_some_and(|found| found == verified(identity))
}

/// The identity in the form the system understands.
pub fn verified(identity: &Identity) -> process::Identity {
    process::Identity { boot: identity.boot.clone(), pid: identity.pid, start: identity.start }
}
