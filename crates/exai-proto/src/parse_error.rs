//! Why bytes are not a message, and how that is answered.

use crate::id::Id;
use crate::json::JsonError;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// Not JSON, or too deep.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not a JSON-RPC 2.0 message. The id is there if it could be read.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
        /// The message's id, if it has a proper one.
        id: Option<Id>,
    },
    /// A JSON-RPC batch; see [`crate::envelope::split_batch`].
    #[error("JSON-RPC batches exist only in protocol 2025-03-26")]
    Batch,
}

impl ParseError {
    /// The JSON-RPC error code: -32700 for text that is no JSON, -32600 for JSON that is no message.
    pub fn code(&self) -> i32 {
        match self {
            ParseError::Utf8 | ParseError::Json(JsonError::Syntax(_) | JsonError::Incomplete) => -32700,
            ParseError::Json(JsonError::TooDeep) | ParseError::Invalid { .. } | ParseError::Batch => -32600,
        }
    }

    /// The id to answer with.
    pub fn id(&self) -> Id {
        match self {
            ParseError::Invalid { id: Some(id), .. } => id.clone(),
            ParseError::Invalid { id: None, .. }
            | ParseError::Utf8
            | ParseError::Json(_)
            | ParseError::Batch => Id::null(),
        }
    }
}
