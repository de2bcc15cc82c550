//! The answer of a method, and the codes of errors.

pub(crate) const PARSE_ERROR: i64 = -32700;
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
pub(crate) const INVALID_PARAMS: i64 = -32602;
pub(crate) const RESOURCE_NOT_FOUND: i64 = -32002;

/// The answer of a method: the text of the result object, or the code and the message of an error.
pub(crate) type Answer = Result<String, (i64, String)>;
