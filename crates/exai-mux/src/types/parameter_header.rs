//! What is said twice of a call over HTTP.

/// An HTTP header in which a client of the modern era repeats an argument of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterHeader {
    /// The name of the header, without `Mcp-Param-`.
    pub name: String,
    /// The keys that lead from `arguments` to the argument.
    pub path: Vec<String>,
}
