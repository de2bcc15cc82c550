//! Whether a server speaks an era of MCP.

/// Whether a server was seen to speak an era.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraVerdict {
    /// Whether it does.
    pub speaks: bool,
    /// What was seen: a fragment that reads after "the server".
    pub why: String,
}

impl EraVerdict {
    pub(crate) fn yes(why: &str) -> Self {
        EraVerdict { speaks: true, why: why.to_owned() }
    }

    pub(crate) fn no(why: impl Into<String>) -> Self {
        EraVerdict { speaks: false, why: why.into() }
    }
}
