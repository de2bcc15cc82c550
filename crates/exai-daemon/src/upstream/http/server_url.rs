//! The URL at which a server listens, parsed.

use std::net::SocketAddr;

use exai_proto::loopback::{LoopbackUrl, LoopbackUrlError};

const SCHEME: &str = "http://";

/// `http://HOST[:PORT][/PATH][?QUERY]` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// Host and port as the URL has them: the `Host` header.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
    /// The addresses to connect to. `localhost` may mean two.
    pub(crate) addrs: Vec<SocketAddr>,
}

impl ServerUrl {
    /// Parses a URL. The error reads after "the server" and does not show the URL, which may hold a secret.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("could not be started: its `url` {why}");
        let begins = url.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME));
        if begins && (url.bytes().any(|byte| !byte.is_ascii_graphic()) || url.contains(['#', '\\'])) {
            return Err(wrong("holds a character that no such URL can have"));
        }
        let parsed = LoopbackUrl::parse(url, SCHEME).map_err(|error| {
            wrong(match error {
                LoopbackUrlError::Scheme => "does not begin with http://",
                LoopbackUrlError::Credentials => "holds credentials; use `headers`",
                LoopbackUrlError::Host(_) => "does not name this machine as 127.0.0.1, localhost or [::1]",
                LoopbackUrlError::Port => "names no possible port",
            })
        })?;
        let port = parsed.port.unwrap_or(80);
        let path =
            if parsed.rest.starts_with('/') { parsed.rest.to_owned() } else { format!("/{}", parsed.rest) };
        Ok(ServerUrl {
            authority: parsed.authority.to_owned(),
            path,
            addrs: parsed.ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect(),
        })
    }

    /// The path of a redirect that leads to the same server.
    pub(super) fn redirected(&self, location: &str) -> Option<String> {
        let same_origin = |rest: &str| {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            rest[..end].eq_ignore_ascii_case(&self.authority).then(|| rest[end..].to_owned())
        };
        let path = match location.split_at_checked("http://".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => same_origin(rest)?,
            // `//host` names another server.
            _ if location.starts_with('/') && !location.starts_with("//") => location.to_owned(),
            _ => return None,
        };
        let path = path.split('#').next().unwrap_or_default();
        let usable = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_this_machine() {
        let cases = [
            ("http://127.0.0.1:9001/mcp", "127.0.0.1:9001", "/mcp", vec!["127.0.0.1:9001"]),
            ("HTTP://[::1]:1", "[::1]:1", "/", vec!["[::1]:1"]),
            ("http://127.0.0.1?a=b", "127.0.0.1", "/?a=b", vec!["127.0.0.1:80"]),
            ("http://LocalHost:2/a/b?c", "LocalHost:2", "/a/b?c", vec!["127.0.0.1:2", "[::1]:2"]),
        ];
        for (url, authority, path, addrs) in cases {
            let addrs = addrs.into_iter().map(|addr| addr.parse().unwrap()).collect();
            let expected = ServerUrl { authority: authority.to_owned(), path: path.to_owned(), addrs };
            assert_eq!(ServerUrl::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_and_not_shown() {
        let urls = [
            "",
            "https://127.0.0.1:1/secret",
            "http://example.com/secret",
            "http://127.0.0.1.evil.com/secret",
            "http://127.0.0.2:1/secret",
            "http://a:secret@127.0.0.1:1/",
            "http://127.0.0.1:0/secret",
            "http://127.0.0.1:99999/secret",
            "http://127.0.0.1:+1/secret",
            "http://127.0.0.1:1/secret\r\nX: y",
            "http://127.0.0.1:1/secret#x",
            "http://evil.com\\127.0.0.1:1/secret",
        ];
        for url in urls {
            let why = ServerUrl::parse(url).unwrap_err();
            assert!(why.starts_with("could not be started: its `url` "), "{url}: {why}");
            assert!(!why.contains("secret"), "{url}: {why}");
        }
    }

    #[test]
    fn redirects_are_followed_on_the_same_server_only() {
        let place = ServerUrl::parse("http://127.0.0.1:9001/mcp").unwrap();
        for (location, expected) in [
            ("/mcp/", Some("/mcp/")),
            ("http://127.0.0.1:9001/mcp/?x=1#y", Some("/mcp/?x=1")),
            ("http://127.0.0.1:9002/mcp/", None),
            ("http://evil.com/mcp", None),
            ("https://127.0.0.1:9001/mcp/", None),
            ("//evil.com/mcp", None),
            ("mcp/", None),
            ("/a b", None),
            ("", None),
        ] {
            assert_eq!(place.redirected(location).as_deref(), expected, "{location}");
        }
    }
}
