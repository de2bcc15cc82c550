//! The URL of a server, parsed.

use std::net::SocketAddr;

use exai_proto::loopback::{LoopbackUrl, LoopbackUrlError};
use hyper::Uri;

/// `SCHEME://HOST[:PORT][/PATH][?QUERY]`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerUrl {
    /// With `://`.
    scheme: &'static str,
    /// Host and port as the URL has them: the `Host` header.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

const HTTP: &str = "http://";
const HTTPS: &str = "https://";
const WS: &str = "ws://";
const WSS: &str = "wss://";

/// The error reads after "the server" and does not show the URL, which may hold a secret.
fn wrong(why: &str) -> String {
    format!("could not be started: its `url` {why}")
}

fn check_characters(url: &str) -> Result<(), String> {
    if url.bytes().any(|byte| !byte.is_ascii_graphic()) || url.contains(['#', '\\']) {
        return Err(wrong("holds a character that no such URL can have"));
    }
    Ok(())
}

const CREDENTIALS: &str = "holds credentials; use `headers`";

impl ServerUrl {
    /// Parses the URL of a server that the daemon starts, on this machine. Returns the addresses to connect to as well:
    /// `localhost` may mean two. The error reads after "the server".
    pub(crate) fn parse_own(url: &str) -> Result<(Self, Vec<SocketAddr>), String> {
        let scheme = [HTTP, WS].into_iter().find(|scheme| begins_with(url, scheme));
        if scheme.is_some() {
            check_characters(url)?;
        }
        let scheme = scheme.unwrap_or(HTTP);
        let parsed = LoopbackUrl::parse(url, scheme).map_err(|error| {
            wrong(match error {
                LoopbackUrlError::Scheme => "begins with neither http:// nor ws://",
                LoopbackUrlError::Credentials => CREDENTIALS,
                LoopbackUrlError::Host(_) => "does not name this machine as 127.0.0.1, localhost or [::1]",
                LoopbackUrlError::Port => "names no possible port",
            })
        })?;
        let port = parsed.port.unwrap_or(80);
        let place =
            ServerUrl { scheme, authority: parsed.authority.to_owned(), path: with_slash(parsed.rest) };
        Ok((place, parsed.ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect()))
    }

    /// Parses the URL of a server that runs elsewhere and speaks HTTP. The error reads after "the server".
    pub(crate) fn parse_remote(url: &str) -> Result<Self, String> {
        let scheme = [HTTP, HTTPS].into_iter().find(|scheme| begins_with(url, scheme));
        ServerUrl::parse_after(scheme.ok_or_else(|| wrong("begins with neither https:// nor http://"))?, url)
    }

    /// Parses the URL of a server that runs elsewhere and speaks WebSocket. `None` when it has another scheme. The error
    /// reads after "the server".
    pub(crate) fn parse_web_socket(url: &str) -> Option<Result<Self, String>> {
        let scheme = [WS, WSS].into_iter().find(|scheme| begins_with(url, scheme))?;
        Some(ServerUrl::parse_after(scheme, url))
    }

    fn parse_after(scheme: &'static str, url: &str) -> Result<Self, String> {
        check_characters(url)?;
        let rest = &url[scheme.len()..];
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong(CREDENTIALS));
        }
        let place = ServerUrl { scheme, authority: authority.to_owned(), path: with_slash(path) };
        // A URL must name a host, and no port that cannot be one.
        let uri = place.absolute(&place.path).filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        uri.filter(|uri| !has_port || uri.port_u16().is_some_and(|port| port > 0))
            .ok_or_else(|| wrong("names no possible host and port"))?;
        Ok(place)
    }

    /// Whether WebSocket is spoken there, and not HTTP alone.
    pub(super) fn is_web_socket(&self) -> bool {
        [WS, WSS].contains(&self.scheme)
    }

    /// Whether what is sent there could be read on its way.
    pub(super) fn is_readable_by_others(&self) -> bool {
        let host = self.absolute("/").and_then(|uri| uri.host().map(ToOwned::to_owned)).unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let is_here =
            host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
        [HTTP, WS].contains(&self.scheme) && !is_here
    }

    /// The scheme without TLS, and the one with it.
    pub(super) fn schemes(&self) -> (&'static str, &'static str) {
        if self.is_web_socket() { (WS, WSS) } else { (HTTP, HTTPS) }
    }

    /// The whole URI of a path.
    pub(super) fn absolute(&self, path: &str) -> Option<Uri> {
        format!("{}{}{path}", self.scheme, self.authority).parse().ok()
    }

    /// The scheme, without `://`.
    pub(super) fn scheme_name(&self) -> &'static str {
        self.scheme.trim_end_matches("://")
    }

    /// Whether a URL with this scheme and this authority is of the same origin.
    pub(super) fn is_origin(&self, scheme: &str, authority: &str) -> bool {
        let default_port = if self.scheme == HTTPS { ":443" } else { ":80" };
        let bare = |authority: &str| {
            let lower = authority.to_ascii_lowercase();
            lower.strip_suffix(default_port).map(ToOwned::to_owned).unwrap_or(lower)
        };
        scheme.eq_ignore_ascii_case(self.scheme_name()) && bare(authority) == bare(&self.authority)
    }

    /// The path of a redirect that leads to the same server.
    pub(super) fn redirected(&self, location: &str) -> Option<String> {
        let path = if location.starts_with('/') {
            // `//host` names another server.
            Some(location).filter(|location| !location.starts_with("//"))?
        } else {
            let (scheme, rest) = location.split_once("://")?;
            let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            Some(path).filter(|_| self.is_origin(scheme, authority))?
        };
        let path = path.split('#').next().unwrap_or_default();
        let usable = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| path.to_owned())
    }
}

fn begins_with(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn with_slash(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
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
            ("ws://127.0.0.1:3/mcp", "127.0.0.1:3", "/mcp", vec!["127.0.0.1:3"]),
            ("http://LocalHost:2/a/b?c", "LocalHost:2", "/a/b?c", vec!["127.0.0.1:2", "[::1]:2"]),
        ];
        for (url, authority, path, addrs) in cases {
            let addrs = addrs.into_iter().map(|addr| addr.parse().unwrap()).collect();
            let scheme = if begins_with(url, WS) { WS } else { HTTP };
            let expected = ServerUrl { scheme, authority: authority.to_owned(), path: path.to_owned() };
            assert_eq!(ServerUrl::parse_own(url), Ok((expected, addrs)), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_and_not_shown() {
        let urls = [
            "",
            "https://127.0.0.1:1/secret",
            "wss://127.0.0.1:1/secret",
            "ws://example.com/secret",
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
            let why = ServerUrl::parse_own(url).unwrap_err();
            assert!(why.starts_with("could not be started: its `url` "), "{url}: {why}");
            assert!(!why.contains("secret"), "{url}: {why}");
        }
    }

    #[test]
    fn urls_of_other_machines() {
        for (url, whole, is_readable) in [
            ("https://mcp.example.com/mcp", "https://mcp.example.com/mcp", false),
            ("HTTPS://mcp.example.com:8443", "https://mcp.example.com:8443/", false),
            ("https://[2001:db8::1]/x?y=z", "https://[2001:db8::1]/x?y=z", false),
            ("http://nas.local:3000/mcp", "http://nas.local:3000/mcp", true),
            ("http://127.0.0.1.example/mcp", "http://127.0.0.1.example/mcp", true),
            ("http://127.0.0.1:3000/mcp", "http://127.0.0.1:3000/mcp", false),
            ("http://[::1]/mcp", "http://[::1]/mcp", false),
            ("WSS://mcp.example.com/mcp", "wss://mcp.example.com/mcp", false),
            ("ws://nas.local:3000/mcp", "ws://nas.local:3000/mcp", true),
            ("ws://localhost:3000", "ws://localhost:3000/", false),
        ] {
            let place =
                ServerUrl::parse_web_socket(url).unwrap_or_else(|| ServerUrl::parse_remote(url)).unwrap();
            assert_eq!(place.absolute(&place.path).unwrap().to_string(), whole);
            assert_eq!(place.is_readable_by_others(), is_readable, "{url}");
        }
        for url in [
            "",
            "ftp://a/secret",
            "https:///secret",
            "https://?secret",
            "https://a:0/secret",
            "https://a:99999/secret",
            "https://a:/secret",
            "https://u:secret@a/",
            "https://a/secret#x",
            "https://a\\@b/secret",
            "https://ä/secret",
            "wss://u:secret@a/",
            "ws://a:0/secret",
        ] {
            let place = ServerUrl::parse_web_socket(url).unwrap_or_else(|| ServerUrl::parse_remote(url));
            let why = place.unwrap_err();
            assert!(
                why.starts_with("could not be started: its `url` ") && !why.contains("secret"),
                "{url}: {why}"
            );
        }
    }

    #[test]
    fn redirects_are_followed_on_the_same_server_only() {
        let place = ServerUrl::parse_remote("http://127.0.0.1:9001/mcp").unwrap();
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
        let place = ServerUrl::parse_remote("https://a.example/mcp").unwrap();
        for (location, expected) in [
            ("https://A.example/mcp/", Some("/mcp/")),
            ("http://a.example/mcp/", None),
            ("https://a.example.evil/mcp/", None),
            ("https://a.example@evil/mcp/", None),
        ] {
            assert_eq!(place.redirected(location).as_deref(), expected, "{location}");
        }
    }
}
