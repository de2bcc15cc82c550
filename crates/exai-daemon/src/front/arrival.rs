//! Under which name a request over TCP came, by its own headers.
//!
//! A web page that has its own name lead to 127.0.0.1 (DNS rebinding) sends that name as `Host`, and each page sends its
//! `Origin`. So both must be names that the daemon has, or that `allowed_hosts` gives it. A header never makes anybody
//! trusted: what says that a proxy has passed it on has fewer rights than what says nothing.

use axum::http::header::AsHeaderName;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use exai_config::AllowedHosts;
use exai_proto::limits::cut;

use crate::limits::MAX_SHOWN_HOST_CHARS;

/// Where a request has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// On this machine, as far as the request tells.
    Here,
    /// At a proxy, which has another name or says that it has passed the request on. Whose request that is, is not known.
    ThroughProxy,
}

/// What proxies add to the requests that they pass on.
const TRACES_OF_PROXIES: [&str; 3] = ["forwarded", "x-real-ip", "via"];
const TRACE_PREFIX: &str = "x-forwarded-";

/// Where a request has begun, or the sentence that refuses it. `port` is the daemon's own.
pub(crate) fn find_arrival(
    headers: &HeaderMap,
    target: &Uri,
    port: u16,
    allowed: &AllowedHosts,
) -> Result<Arrival, String> {
    let Some(host) = only(headers, header::HOST) else {
        return Err("a request needs one Host header".to_owned());
    };
    // The absolute form of a target is for proxies, and overrides `Host`: RFC 9112, 3.2.2.
    let targets = target.authority().map(Authority::as_str);
    let mut is_own = true;
    for name in [host].into_iter().chain(targets) {
        if is_loopback(name, port) {
            continue;
        }
        if !allowed.has(name) {
            return Err(refuse_host(name, port));
        }
        is_own = false;
    }
    if headers.contains_key(header::ORIGIN)
        && !only(headers, header::ORIGIN).is_some_and(|origin| is_origin_allowed(origin, port, allowed))
    {
        return Err("requests from this Origin are not served".to_owned());
    }
    let is_trace = |name: &str| TRACES_OF_PROXIES.contains(&name) || name.starts_with(TRACE_PREFIX);
    let was_passed_on = headers.keys().any(|name| is_trace(name.as_str()));
    Ok(if is_own && !was_passed_on { Arrival::Here } else { Arrival::ThroughProxy })
}

/// The value of a header that is present exactly once.
pub(crate) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn refuse_host(host: &str, port: u16) -> String {
    let host = cut(host, MAX_SHOWN_HOST_CHARS);
    format!(
        "the host {host:?} is not served, only 127.0.0.1, localhost and [::1] with the port {port}; if it is a proxy of \
         yours, name it in `allowed_hosts` of [daemon] in config.toml"
    )
}

fn is_loopback(host: &str, port: u16) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|given| given == port.to_string())
    })
}

fn is_origin_allowed(origin: &str, port: u16, allowed: &AllowedHosts) -> bool {
    origin.strip_prefix("http://").is_some_and(|host| is_loopback(host, port))
        || origin.strip_prefix("https://").is_some_and(|host| allowed.has(host))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::http::{HeaderName, HeaderValue};
    use exai_config::Config;

    use super::*;

    const PORT: u16 = 8079;

    fn judge(headers: &[(&'static str, &str)], target: &str) -> Result<Arrival, String> {
        let text = "[daemon]\nallowed_hosts = [\"mcp.example.com\", \"box:8443\", \"localhost:9000\"]\n";
        let config = Config::from_text(Path::new("config.toml"), text, None).expect("valid");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        find_arrival(&map, &target.parse().expect("a target"), PORT, &config.daemon.allowed_hosts)
    }

    #[test]
    fn a_host_is_the_daemons_own_or_named_in_the_configuration() {
        for host in ["127.0.0.1:8079", "localhost:8079", "[::1]:8079"] {
            assert_eq!(judge(&[("host", host)], "/mcp"), Ok(Arrival::Here), "{host}");
        }
        for host in ["mcp.example.com", "MCP.example.com:443", "box:8443", "localhost:9000"] {
            assert_eq!(judge(&[("host", host)], "/mcp"), Ok(Arrival::ThroughProxy), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:80790",
            "127.0.0.1:08079",
            "127.0.0.2:8079",
            "127.1:8079",
            "2130706433:8079",
            "[::ffff:127.0.0.1]:8079",
            "0.0.0.0:8079",
            "127.evil.com:8079",
            "localhost.:8079",
            "LOCALHOST:8079",
            "localhost:9001",
            "[::1]",
            "evil:8079",
            "mcp.example.com:8079",
            "mcp.example.com.",
            "a.mcp.example.com",
            "mcp.example.com.evil.com",
            "mcp.example.com, evil.com",
            "box",
            "",
        ] {
            let refusal = judge(&[("host", host)], "/mcp").expect_err(host);
            assert!(refusal.contains(&format!("{host:?}")) && refusal.contains("allowed_hosts"), "{refusal}");
        }
        assert!(judge(&[], "/mcp").is_err());
        assert!(judge(&[("host", "localhost:8079"), ("host", "localhost:8079")], "/mcp").is_err());
        let long = judge(&[("host", &"x".repeat(10_000))], "/mcp").expect_err("too long");
        assert!(long.len() < 1000, "{}", long.len());
    }

    #[test]
    fn the_target_and_the_origin_are_names_of_the_daemon_too() {
        let (own, far) = (("host", "localhost:8079"), ("host", "mcp.example.com"));
        for (target, arrival) in [
            ("http://127.0.0.1:8079/mcp", Some(Arrival::Here)),
            ("http://mcp.example.com/mcp", Some(Arrival::ThroughProxy)),
            ("http://evil.com/mcp", None),
            ("http://me@127.0.0.1:8079/mcp", None),
        ] {
            assert_eq!(judge(&[own], target).ok(), arrival, "{target}");
        }
        for (origin, is_allowed) in [
            ("http://127.0.0.1:8079", true),
            ("http://localhost:8079", true),
            ("https://mcp.example.com", true),
            ("https://box:8443", true),
            ("https://mcp.example.com:8443", false),
            ("http://mcp.example.com", false),
            ("https://mcp.example.com.evil.com", false),
            ("https://evil.com", false),
            ("https://localhost:8079", false),
            ("http://localhost:9000", false),
            ("null", false),
            ("", false),
        ] {
            for host in [own, far] {
                let verdict = judge(&[host, ("origin", origin)], "/mcp");
                assert_eq!(verdict.is_ok(), is_allowed, "{origin} at {host:?}");
            }
        }
        let twice = [far, ("origin", "https://mcp.example.com"), ("origin", "https://evil.com")];
        assert!(judge(&twice, "/mcp").is_err());
    }

    #[test]
    fn what_a_proxy_adds_takes_rights_and_gives_none() {
        for trace in TRACES_OF_PROXIES {
            let own = [("host", "localhost:8079"), (trace, "127.0.0.1")];
            assert_eq!(judge(&own, "/mcp"), Ok(Arrival::ThroughProxy), "{trace}");
            for claim in
                ["127.0.0.1:8079", "localhost", "mcp.example.com", "for=127.0.0.1;host=localhost:8079"]
            {
                assert!(judge(&[("host", "evil.com"), (trace, claim)], "/mcp").is_err(), "{trace}: {claim}");
            }
        }
    }
}
