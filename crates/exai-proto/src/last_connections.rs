//! `clients.json`: when each client with a label was connected last. The daemon writes it; the commands read it, also while
//! no daemon runs.
//!
//! ```json
//! {"schema":1,"clients":{"cursor":{"at":"2026-11-28T14:03:00Z","name":"cursor-vscode","version":"1.0.0"}}}
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The schema number of the file.
pub const SCHEMA: u32 = 1;

/// A connection of a client that was recorded less than this ago is not recorded again.
pub const RECORD_INTERVAL: Duration = Duration::from_mins(1);

/// The longest `clients.json` that is read, in bytes.
pub const MAX_LAST_CONNECTIONS_BYTES: u64 = 1024 * 1024;

/// What `exai install` calls itself while it tries an entry as the client will. That is no connection of the client.
pub const TRIAL_CLIENT_NAME: &str = "exai install";

/// The content of `clients.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastConnections {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The clients, by their labels (`exai shim --client LABEL`).
    pub clients: BTreeMap<String, LastConnection>,
}

/// The last connection of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastConnection {
    /// When the client was connected last, as far as it was recorded.
    pub at: String,
    /// The name that the client gave itself.
    pub name: Option<String>,
    /// The version that the client gave itself.
    pub version: Option<String>,
}

impl Default for LastConnections {
    fn default() -> Self {
        LastConnections { schema: SCHEMA, clients: BTreeMap::new() }
    }
}

impl LastConnections {
    /// Reads the bytes of the file. A file that cannot be read says nothing.
    pub fn decode(bytes: &[u8]) -> Self {
        let found: Option<LastConnections> = serde_json::from_slice(bytes).ok();
        found.filter(|found| found.schema == SCHEMA).unwrap_or_default()
    }
}
