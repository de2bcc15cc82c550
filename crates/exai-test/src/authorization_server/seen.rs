//! What the server has seen.

/// Numbers since the server began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Visits of the authorization page.
    pub pages: usize,
    /// Codes that were given.
    pub codes: usize,
    /// Codes that became tokens.
    pub exchanges: usize,
    /// Refresh tokens that became tokens.
    pub refreshes: usize,
    /// Times that a used refresh token or a used code came again. The first of a grant has cost it.
    pub reuses: usize,
    /// Clients that have registered.
    pub registrations: usize,
    /// Device flows that began.
    pub device_requests: usize,
    /// Polls of devices.
    pub polls: usize,
    /// Polls that came before the pause was over.
    pub hasty_polls: usize,
    /// Requests for tokens of every kind.
    pub token_requests: usize,
    /// Token responses that are held back at the moment.
    pub held: usize,
    /// Requests to protected resources that were let in.
    pub let_in: usize,
    /// 401s of protected resources.
    pub unauthorized: usize,
    /// 403s of protected resources.
    pub insufficient_scopes: usize,
    /// Tokens of this server that were sent to a resource that they are not for.
    pub wrong_resources: usize,
    /// Secrets that came in the query of a URL.
    pub leaks: usize,
}

/// A request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The fields of its form.
    pub fields: Vec<(String, String)>,
    /// Whether the client has shown who it is by `Authorization: Basic`.
    pub has_basic: bool,
}

impl TokenRequest {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}
