//! How a server with a URL is reached: the URL, the headers of every request, and the time that it has until it listens.

use std::net::SocketAddr;
use std::time::Duration;

use exai_config::Secret;
use exai_os::clock;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::port_check::holder;
use super::server_url::ServerUrl;
use crate::limits::PORT_FREE_TIMEOUT;

/// How often the port is checked while another process holds it.
const PORT_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How a server is reached.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    pub(super) place: ServerUrl,
    pub(super) headers: HeaderMap,
    pub(super) start_timeout: Duration,
}

impl HttpTarget {
    /// Checks a URL and the headers. The error reads after "the server".
    pub(crate) fn at(
        url: &str,
        headers: &[(String, Secret)],
        start_timeout: Duration,
    ) -> Result<Self, String> {
        let place = ServerUrl::parse(url)?;
        let headers = headers_for(headers, &place)?;
        Ok(HttpTarget { place, headers, start_timeout })
    }

    /// Where the server is to listen; the first of the possible addresses.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.place.addrs[0]
    }

    /// Checks whether the port is free, and waits a moment if not. Blocks. The error reads after "the server".
    pub(crate) fn make_room(&self) -> Result<(), String> {
        let end = clock::now() + PORT_FREE_TIMEOUT.min(self.start_timeout);
        while let Some(who) = holder(&self.place.addrs) {
            if clock::now() >= end {
                return Err(format!("was not started: {who}, which is no process of this server"));
            }
            std::thread::sleep(PORT_LOOK_INTERVAL);
        }
        Ok(())
    }

    pub(super) fn wish(&self) -> String {
        let addrs: Vec<String> = self.place.addrs.iter().map(ToString::to_string).collect();
        format!("does not listen on {}", addrs.join(" or "))
    }
}

/// The headers of every request: those of the configuration, and `Host`. The error reads after "the server" and shows no
/// value.
fn headers_for(configured: &[(String, Secret)], place: &ServerUrl) -> Result<HeaderMap, String> {
    let wrong = |name: &str| format!("could not be started: the header `{name}` cannot be sent");
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let mut secret = HeaderValue::from_str(value.expose()).map_err(|_| wrong(name))?;
        secret.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name))?, secret);
    }
    // The configuration must not set the headers that frame a request.
    for ours in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE] {
        headers.remove(ours);
    }
    headers.insert(header::HOST, HeaderValue::from_str(&place.authority).map_err(|_| wrong("host"))?);
    let agent = HeaderValue::from_static(concat!("exai/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(agent);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_and_shown_to_nobody() {
        let place = ServerUrl::parse("http://127.0.0.1:9001/mcp").unwrap();
        let one = |name: &str, value: &str| {
            headers_for(&[(name.to_owned(), Secret::new(value.to_owned()))], &place)
        };
        let good = one("Authorization", "Bearer x").unwrap();
        assert_eq!(
            (&good["host"], good["authorization"].is_sensitive()),
            (&"127.0.0.1:9001".parse().unwrap(), true)
        );
        let bad = one("X-Key", "secret\r\nHost: evil").unwrap_err();
        assert!(bad.contains("X-Key") && !bad.contains("secret"), "{bad}");
        assert_eq!(one("Host", "evil").unwrap()["host"], "127.0.0.1:9001");
        assert!(!one("Transfer-Encoding", "chunked").unwrap().contains_key("transfer-encoding"));
    }
}
