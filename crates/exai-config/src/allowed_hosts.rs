//! `allowed_hosts` in `[daemon]`: the names under which a proxy passes requests on to the daemon.

use std::net::Ipv6Addr;
use std::ops::Range;

use toml::Spanned;

use crate::fault::Fault;
use crate::limits::{MAX_ALLOWED_HOSTS, MAX_HOST_CHARS, MAX_HOST_LABEL_CHARS};

/// The port of `https`, which nobody writes.
const USUAL_PORT: &str = ":443";

/// The hosts of `[daemon].allowed_hosts`, each as a `Host` header has it: in lower case, and with a port only if that is
/// not the port of `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Whether this host is one of them, as a `Host` header or an `https` origin names it.
    pub fn has(&self, host: &str) -> bool {
        let host = host.strip_suffix(USUAL_PORT).unwrap_or(host);
        self.0.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hosts of a list as it is written.
    pub(crate) fn check(written: &[Spanned<String>]) -> Result<AllowedHosts, Fault> {
        if let Some(beyond) = written.get(MAX_ALLOWED_HOSTS) {
            let sentence = format!("`allowed_hosts` may name {MAX_ALLOWED_HOSTS} hosts");
            return Err(Fault::new(beyond.span(), sentence));
        }
        let fault = |at: Range<usize>, sentence| Fault { at, sentence };
        let host = |text: &Spanned<String>| read_host(text.get_ref()).map_err(|why| fault(text.span(), why));
        written.iter().map(host).collect::<Result<_, _>>().map(AllowedHosts)
    }
}

/// One host, as [`AllowedHosts`] keeps it. The error is a sentence.
fn read_host(text: &str) -> Result<String, String> {
    let fault = |what: &str| Err(format!("{text:?} in `allowed_hosts` {what}"));
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return fault(&format!("has a scheme: write the host alone, as in {host:?}"));
    }
    if text.contains('*') {
        return fault("has a wildcard: name each host");
    }
    if text.contains(['/', '?', '#', '@', '\\']) {
        return fault("is more than a host and a port");
    }
    if !text.is_ascii() {
        return fault("is not written as a browser sends it: such a name begins with xn--");
    }
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, rest)) => {
            let Ok(address) = address.parse::<Ipv6Addr>() else { return fault("is no IPv6 address") };
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return fault("is no host"),
                port => port,
            };
            (format!("[{address}]"), port)
        }
        None if text.matches(':').count() > 1 => {
            return fault("is no host and port; an IPv6 address stands in brackets");
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            if host.ends_with('.') {
                return fault("ends with a dot: leave it out");
            }
            if !is_name(host) {
                return fault("is no host");
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    match port {
        None | Some("443") => Ok(host),
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && number.to_string() == port => Ok(format!("{host}:{port}")),
            Ok(_) | Err(_) => fault("has a port that is none"),
        },
    }
}

/// Whether this is a DNS name, or an IPv4 address.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_HOST_LABEL_CHARS
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= MAX_HOST_CHARS && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_as_clients_name_it_and_nothing_else_is() {
        let allowed = ["MCP.example.com", "box:8443", "plain:443", "[fd7a:0::1]:9000", "192.168.1.5"];
        let hosts = AllowedHosts(allowed.iter().map(|text| read_host(text).unwrap()).collect());
        let found =
            ["mcp.example.com", "mcp.EXAMPLE.com:443", "box:8443", "plain", "[fd7a::1]:9000", "192.168.1.5"];
        for host in found {
            assert!(hosts.has(host), "{host}");
        }
        let others = [
            "",
            "mcp.example.com:8443",
            "mcp.example.com:80",
            "mcp.example.com.",
            "a.mcp.example.com",
            "mcp.example.com.evil.com",
            "mcp.example.com@evil.com",
            " mcp.example.com",
            "box",
            "box:84430",
            "plain:80",
            "fd7a::1",
            "127.0.0.1",
        ];
        for host in others {
            assert!(!hosts.has(host), "{host}");
        }
        assert!(!AllowedHosts::default().has("") && AllowedHosts::default().is_empty());
    }

    #[test]
    fn what_is_no_host_is_refused_with_a_reason() {
        let long = "x".repeat(64);
        for (text, reason) in [
            ("https://mcp.example.com/mcp", "write the host alone, as in \"mcp.example.com\""),
            ("*.example.com", "name each host"),
            ("mcp.example.com/mcp", "is more than a host and a port"),
            ("me@mcp.example.com", "is more than a host and a port"),
            ("mcp.example.com.", "ends with a dot"),
            ("büro.example", "xn--"),
            ("fd7a::1", "stands in brackets"),
            ("[fd7a::x]", "is no IPv6 address"),
            ("[::1]x", "is no host"),
            ("mcp.example.com:", "has a port that is none"),
            ("mcp.example.com:0", "has a port that is none"),
            ("mcp.example.com:08443", "has a port that is none"),
            ("mcp.example.com:99999", "has a port that is none"),
            ("", "is no host"),
            (":8443", "is no host"),
            ("a..b", "is no host"),
            ("a b", "is no host"),
            ("-a", "is no host"),
            (&long, "is no host"),
        ] {
            let sentence = read_host(text).unwrap_err();
            assert!(sentence.contains(reason), "{text}: {sentence}");
        }
    }
}
