//! The keys of the envelope of JSON-RPC.

use crate::json;

pub(crate) const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The envelope key that this key means, however it is spelled.
pub(crate) fn envelope_key(key: &[u8]) -> Option<&'static str> {
    ENVELOPE.into_iter().find(|known| json::is_key(key, known))
}
