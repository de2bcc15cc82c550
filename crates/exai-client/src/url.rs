//! The URL of `exai shim --url`: `ws://HOST:PORT/mcp`, or `/mcp/NAME` for one server.

use std::net::SocketAddr;
use std::str::FromStr;

use exai_config::server_name::{self, NameError};
use exai_proto::loopback::{LoopbackUrl, LoopbackUrlError};

/// An address of this machine where a daemon may listen, and one of its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpUrl {
    /// Address and port; `localhost` is 127.0.0.1.
    pub addr: SocketAddr,
    /// `/mcp` or `/mcp/NAME`.
    pub path: String,
}

/// Why a text is no such URL. It shows no more of the text than the host, since the text may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("the URL must begin with ws://; what stays on this machine needs no wss://")]
    Scheme,
    /// `user:password@`.
    #[error("the URL must not hold credentials; the token is read from the state directory")]
    Credentials,
    /// Another machine.
    #[error("`{0}` is not this machine; the host must be 127.0.0.1, localhost or [::1]")]
    Host(String),
    /// No port, or one that cannot be.
    #[error("the URL needs the daemon's port, as in ws://127.0.0.1:8079/mcp")]
    Port,
    /// Another path, a query or a fragment.
    #[error("the URL's path must be /mcp for all servers or /mcp/NAME for one, and nothing after it")]
    Path,
    /// The server's name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl From<LoopbackUrlError<'_>> for UrlError {
    fn from(error: LoopbackUrlError<'_>) -> Self {
        match error {
            LoopbackUrlError::Scheme => UrlError::Scheme,
            LoopbackUrlError::Credentials => UrlError::Credentials,
            LoopbackUrlError::Host(host) => UrlError::Host(host.to_owned()),
            LoopbackUrlError::Port => UrlError::Port,
        }
    }
}

impl FromStr for McpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let LoopbackUrl { ips, port, rest: path, .. } = LoopbackUrl::parse(text, "ws://")?;
        let addr = SocketAddr::new(ips[0], port.ok_or(UrlError::Port)?);
        if path != "/mcp" {
            server_name::check(
                path.strip_prefix("/mcp/").filter(|name| is_plain(name)).ok_or(UrlError::Path)?,
            )?;
        }
        Ok(McpUrl { addr, path: path.to_owned() })
    }
}

/// Whether this is a single segment of a path. Whether it is a server's name is checked elsewhere.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '?', '#', '\\', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_this_machine() {
        let cases = [
            ("ws://127.0.0.1:8079/mcp", "127.0.0.1:8079", "/mcp"),
            ("ws://localhost:1/mcp/files", "127.0.0.1:1", "/mcp/files"),
            ("WS://LocalHost:65535/mcp/a-b_c", "127.0.0.1:65535", "/mcp/a-b_c"),
            ("ws://[::1]:8079/mcp", "[::1]:8079", "/mcp"),
        ];
        for (text, addr, path) in cases {
            let expected = McpUrl { addr: addr.parse().unwrap(), path: path.to_owned() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        let host = |host: &str| UrlError::Host(host.to_owned());
        let cases = [
            ("", UrlError::Scheme),
            ("ws:/", UrlError::Scheme),
            ("127.0.0.1:8079/mcp", UrlError::Scheme),
            ("wss://127.0.0.1:8079/mcp", UrlError::Scheme),
            ("http://127.0.0.1:8079/mcp", UrlError::Scheme),
            ("ẅs://127.0.0.1:8079/mcp", UrlError::Scheme),
            ("ws://user:secret@127.0.0.1:8079/mcp", UrlError::Credentials),
            ("ws://127.0.0.1:8079@evil.com/mcp", UrlError::Credentials),
            ("ws://evil.com:8079/mcp", host("evil.com")),
            ("ws://127.0.0.1.evil.com:8079/mcp", host("127.0.0.1.evil.com")),
            ("ws://127.0.0.2:8079/mcp", host("127.0.0.2")),
            ("ws://0.0.0.0:8079/mcp", host("0.0.0.0")),
            ("ws://127.1:8079/mcp", host("127.1")),
            ("ws://localhost.:8079/mcp", host("localhost.")),
            ("ws://::1:8079/mcp", host("::1")),
            ("ws://[::ffff:127.0.0.1]:8079/mcp", host("[::ffff:127.0.0.1]")),
            ("ws:///mcp", host("")),
            ("ws://evil.com\\127.0.0.1:8079/mcp", host("evil.com")),
            ("ws://127.0.0.1/mcp", UrlError::Port),
            ("ws://[::1]/mcp", UrlError::Port),
            ("ws://127.0.0.1:/mcp", UrlError::Port),
            ("ws://127.0.0.1:0/mcp", UrlError::Port),
            ("ws://127.0.0.1:+80/mcp", UrlError::Port),
            ("ws://127.0.0.1:65536/mcp", UrlError::Port),
            ("ws://127.0.0.1:8079", UrlError::Path),
            ("ws://127.0.0.1:8079/", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp/", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp/a/b", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp?token=x", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp/a?x", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp#x", UrlError::Path),
            ("ws://127.0.0.1:8079/mcp/%61", UrlError::Path),
            ("ws://127.0.0.1:8079/shim", UrlError::Path),
            ("ws://127.0.0.1:8079/MCP", UrlError::Path),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<McpUrl>(), Err(expected), "{text}");
        }
        for name in ["a__b", "-a", "a\r\nb", "über", &"n".repeat(25)] {
            let parsed = format!("ws://127.0.0.1:8079/mcp/{name}").parse::<McpUrl>();
            assert!(matches!(parsed, Err(UrlError::Name(_))), "{name}");
        }
    }
}
