//! When each client was connected last, as the daemon has recorded it.

use exai_config::Home;
use exai_os::private;
use exai_proto::last_connections::{LastConnection, LastConnections, MAX_LAST_CONNECTIONS_BYTES};
use jiff::Timestamp;

use crate::time_span::span;

/// What `clients.json` says. A file that cannot be read says nothing.
pub(crate) fn load(home: &Home) -> LastConnections {
    let read = private::read(&home.last_connections(), MAX_LAST_CONNECTIONS_BYTES);
    read.map(|bytes| LastConnections::decode(&bytes)).unwrap_or_default()
}

/// `last connected 3 h ago`.
pub(crate) fn describe(last: &LastConnection) -> String {
    match last.at.parse::<Timestamp>() {
        // A clock that was set back is no reason to speak of the future.
        Ok(at) => {
            let ago = Timestamp::now().duration_since(at).try_into().unwrap_or_default();
            format!("last connected {} ago", span(ago))
        }
        Err(_) => "last connected at a time that cannot be read".to_owned(),
    }
}
