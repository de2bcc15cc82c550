//! Batches of JSON-RPC, which only one revision of MCP has.

use bytes::Bytes;

use crate::json::{self, JsonError};
use crate::limits;
use crate::parse_error::ParseError;

/// The messages of a batch, unchecked, or why it is none.
pub fn split_batch(bytes: &Bytes) -> Result<Vec<Bytes>, ParseError> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(ParseError::Utf8);
    }
    let start = json::skip_space(bytes, 0);
    let end = json::skip_value(bytes, start)?;
    if json::skip_space(bytes, end) != bytes.len() {
        return Err(JsonError::Syntax(end).into());
    }
    let parts: Vec<_> = json::elements(bytes, start..end).take(limits::BATCH + 1).collect();
    if parts.is_empty() || parts.len() > limits::BATCH {
        let reason = "a batch must hold 1 to 256 messages";
        return Err(ParseError::Invalid { reason, id: None });
    }
    Ok(parts.into_iter().map(|part| bytes.slice(part)).collect())
}
