use std::net::IpAddr;

/// As much of an http or https URL as it takes to catch a mistake early; the HTTP client parses it in full.
pub(crate) struct WebAddress<'a> {
    /// Whether it is http.
    pub(crate) is_plain: bool,
    /// The host, an IPv6 address without its brackets.
    pub(crate) host: &'a str,
    /// The port, if one is named.
    pub(crate) port: Option<&'a str>,
    /// What follows host and port.
    pub(crate) path: &'a str,
}

impl<'a> WebAddress<'a> {
    /// Takes apart what `key` says. The error is a sentence.
    pub(crate) fn parse(url: &'a str, key: &str) -> Result<WebAddress<'a>, String> {
        let plain = url.strip_prefix("http://");
        let Some(rest) = plain.or_else(|| url.strip_prefix("https://")) else {
            return Err(format!("a `{key}` starts with http:// or https://"));
        };
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
        Ok(WebAddress { is_plain: plain.is_some(), host, port, path })
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Checks the `url` of a server. A `${` may stand for anything.
pub(crate) fn check_url(url: &str, of_a_command: bool) -> Result<(), String> {
    if url.starts_with("${") {
        return Ok(());
    }
    let address = WebAddress::parse(url, "url")?;
    let local = ["127.0.0.1", "localhost", "::1"].contains(&address.host);
    if of_a_command && !(local && address.is_plain) {
        return Err(
            "the `url` of a server with a `command` is http:// on 127.0.0.1, localhost or [::1]".to_owned()
        );
    }
    Ok(())
}
