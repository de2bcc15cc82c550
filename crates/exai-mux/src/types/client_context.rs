//! What a client says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::capability::ClientCapability;
use crate::types::era::Era;
use crate::types::log_level::LogLevel;

/// What a client says of itself. A request keeps what was true when it came.
#[derive(Debug)]
pub(crate) struct ClientContext {
    /// The era in which the client speaks.
    pub(crate) era: Era,
    /// The protocol revision that the client asks for.
    pub(crate) version: String,
    /// What is declared to servers: see [`crate::types::capability::normalise_capabilities`].
    pub(crate) capabilities: Arc<str>,
    /// The same capabilities one by one.
    pub(crate) can: BTreeMap<ClientCapability, String>,
    /// The name of the program.
    pub(crate) name: Option<String>,
    /// The version of the program.
    pub(crate) build: Option<String>,
    /// What the client says of its program, as JSON text.
    pub(crate) client_info: Option<Box<[u8]>>,
    /// The log messages that the client wants during a request of the modern era. `None` for none.
    pub(crate) level: Option<LogLevel>,
}
