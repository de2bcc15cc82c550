//! URLs that name this machine, taken apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// `SCHEME://HOST[:PORT][REST]`, where the host is `127.0.0.1`, `localhost` or `[::1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackUrl<'a> {
    /// Host and port as they were written.
    pub authority: &'a str,
    /// The addresses that the host means; never empty. `localhost` means either of two, the one of IPv4 first.
    pub ips: &'static [IpAddr],
    /// The port, if one is named; never 0.
    pub port: Option<u16>,
    /// Everything behind host and port: path, query and fragment.
    pub rest: &'a str,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopbackUrlError<'a> {
    /// It has another scheme, or none.
    Scheme,
    /// It holds `user:password@`.
    Credentials,
    /// It names another machine.
    Host(&'a str),
    /// It names a port that cannot be one.
    Port,
}

impl<'a> LoopbackUrl<'a> {
    /// Takes a URL apart. `scheme` is what it must begin with, `://` included; the case of letters does not matter.
    pub fn parse(url: &'a str, scheme: &str) -> Result<Self, LoopbackUrlError<'a>> {
        let (start, rest) = url.split_at_checked(scheme.len()).ok_or(LoopbackUrlError::Scheme)?;
        if !start.eq_ignore_ascii_case(scheme) {
            return Err(LoopbackUrlError::Scheme);
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err(LoopbackUrlError::Credentials);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let ips: &[IpAddr] = match host {
            "127.0.0.1" => &[V4],
            "[::1]" => &[V6],
            host if host.eq_ignore_ascii_case("localhost") => &[V4, V6],
            host => return Err(LoopbackUrlError::Host(host)),
        };
        let port = port.map(|port| parse_port(port).ok_or(LoopbackUrlError::Port)).transpose()?;
        Ok(LoopbackUrl { authority, ips, port, rest })
    }
}

/// `str::parse` alone would take a sign.
fn parse_port(port: &str) -> Option<u16> {
    let digits = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|port| port.parse().ok()).filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_this_machine_is_taken_apart() {
        let cases = [
            ("http://127.0.0.1:9001/mcp", "127.0.0.1:9001", &[V4][..], Some(9001), "/mcp"),
            ("HTTP://[::1]:1", "[::1]:1", &[V6], Some(1), ""),
            ("http://127.0.0.1?a=b", "127.0.0.1", &[V4], None, "?a=b"),
            ("http://LocalHost:65535/a/b?c#d", "LocalHost:65535", &[V4, V6], Some(65535), "/a/b?c#d"),
        ];
        for (url, authority, ips, port, rest) in cases {
            assert_eq!(
                LoopbackUrl::parse(url, "http://"),
                Ok(LoopbackUrl { authority, ips, port, rest }),
                "{url}"
            );
        }
    }

    #[test]
    fn every_other_url_is_refused() {
        let cases = [
            ("", LoopbackUrlError::Scheme),
            ("https://127.0.0.1/", LoopbackUrlError::Scheme),
            ("http://a:b@127.0.0.1/", LoopbackUrlError::Credentials),
            ("http:///", LoopbackUrlError::Host("")),
            ("http://evil.com\\127.0.0.1:1/", LoopbackUrlError::Host("evil.com")),
            ("http://127.0.0.2:1/", LoopbackUrlError::Host("127.0.0.2")),
            ("http://::1:1/", LoopbackUrlError::Host("::1")),
            ("http://127.0.0.1:/", LoopbackUrlError::Port),
            ("http://127.0.0.1:0/", LoopbackUrlError::Port),
            ("http://127.0.0.1:+1/", LoopbackUrlError::Port),
            ("http://127.0.0.1:65536/", LoopbackUrlError::Port),
        ];
        for (url, error) in cases {
            assert_eq!(LoopbackUrl::parse(url, "http://"), Err(error), "{url}");
        }
    }
}
