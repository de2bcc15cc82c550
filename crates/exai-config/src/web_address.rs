use std::net::IpAddr;

/// As much of a URL as it takes to catch a mistake early; the client of its protocol parses it in full.
pub(crate) struct WebAddress<'a> {
    /// Whether it is spoken without TLS.
    pub(crate) is_plain: bool,
    /// The host, an IPv6 address without its brackets.
    pub(crate) host: &'a str,
    /// The port, if one is named.
    pub(crate) port: Option<&'a str>,
    /// What follows host and port.
    pub(crate) path: &'a str,
}

/// What is spoken at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebProtocol {
    Http,
    WebSocket,
}

impl WebProtocol {
    /// The protocol of a URL, whether it is spoken without TLS, and what follows the scheme.
    pub(crate) fn split(url: &str) -> Option<(WebProtocol, bool, &str)> {
        [
            ("http://", WebProtocol::Http, true),
            ("https://", WebProtocol::Http, false),
            ("ws://", WebProtocol::WebSocket, true),
            ("wss://", WebProtocol::WebSocket, false),
        ]
        .into_iter()
        .find_map(|(scheme, protocol, is_plain)| Some((protocol, is_plain, url.strip_prefix(scheme)?)))
    }
}

impl<'a> WebAddress<'a> {
    /// Takes apart what `key` says, which must be an HTTP address. The error is a sentence.
    pub(crate) fn parse(url: &'a str, key: &str) -> Result<WebAddress<'a>, String> {
        match WebProtocol::split(url) {
            Some(split @ (WebProtocol::Http, ..)) => WebAddress::of_split(split, url, key),
            Some((WebProtocol::WebSocket, ..)) | None => {
                Err(format!("a `{key}` starts with http:// or https://"))
            }
        }
    }

    fn of_split(
        (_, is_plain, rest): (WebProtocol, bool, &'a str),
        url: &str,
        key: &str,
    ) -> Result<WebAddress<'a>, String> {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if authority.contains('@') {
            return Err(format!("credentials do not belong into a `{key}`; use `headers`"));
        }
        if host.is_empty() || host.starts_with('[') || url.contains(char::is_whitespace) {
            return Err(format!("this `{key}` names no host"));
        }
        Ok(WebAddress { is_plain, host, port, path })
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// What is the same for two URLs of one place, however they are written. `None` where a `${` stands for anything.
pub(crate) fn find_place(url: &str) -> Option<(bool, String, String, String)> {
    let split = WebProtocol::split(url).filter(|_| !url.contains("${"))?;
    let WebAddress { is_plain, host, port, path } = WebAddress::of_split(split, url, "url").ok()?;
    let port = port.filter(|port| !port.is_empty()).unwrap_or(if is_plain { "80" } else { "443" });
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((is_plain, host.to_ascii_lowercase(), port.to_owned(), path))
}

/// Checks the `url` of a server. A `${` may stand for anything.
pub(crate) fn check_url(url: &str, of_a_command: bool) -> Result<(), String> {
    if url.starts_with("${") {
        return Ok(());
    }
    let Some(split) = WebProtocol::split(url) else {
        return Err("a `url` starts with http://, https://, ws:// or wss://".to_owned());
    };
    let address = WebAddress::of_split(split, url, "url")?;
    let local = ["127.0.0.1", "localhost", "::1"].contains(&address.host);
    if of_a_command && !(local && address.is_plain) {
        let sentence =
            "the `url` of a server with a `command` is http:// or ws:// on 127.0.0.1, localhost or [::1]";
        return Err(sentence.to_owned());
    }
    Ok(())
}
