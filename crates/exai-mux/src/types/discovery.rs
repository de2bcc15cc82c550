//! What a server said of itself the last time it ran.

use bytes::Bytes;

use crate::types::era::Era;

/// What is kept of a server, in one era, from one daemon to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The era in which the server was spoken to.
    pub era: Era,
    /// The result of `initialize` or of `server/discover`, as the server wrote it.
    pub introduction: Bytes,
    /// The lists of the server, by the method that asks for each. Lists that were never asked for are missing.
    pub lists: Vec<(String, Vec<Bytes>)>,
}

impl Discovery {
    /// Whether a tool may have arguments that its calls repeat in HTTP headers: see
    /// [`crate::Router::parameter_headers`].
    pub fn marks_arguments(&self) -> bool {
        let tools =
            self.lists.iter().filter(|(method, _)| method == "tools/list").flat_map(|(_, tools)| tools);
        let mark = memchr::memmem::Finder::new("x-mcp-header");
        tools.into_iter().any(|tool| mark.find(tool).is_some())
    }
}
