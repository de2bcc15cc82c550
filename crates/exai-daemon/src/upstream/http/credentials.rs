//! What shows a server who asks.

use std::fmt;

use exai_config::Secret;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::server_url::ServerUrl;

/// What shows a server who asks: the headers of every request besides those of the protocol. Each request takes them
/// anew, so they may change while the server runs.
pub(super) trait Credentials: fmt::Debug + Send + Sync {
    /// The headers of the next request.
    fn headers(&self) -> HeaderMap;
}

/// The headers of the configuration, and `Host`.
#[derive(Debug)]
pub(super) struct ConfiguredHeaders(HeaderMap);

impl Credentials for ConfiguredHeaders {
    fn headers(&self) -> HeaderMap {
        self.0.clone()
    }
}

impl ConfiguredHeaders {
    /// Checks the headers. The error reads after "the server" and shows no value.
    pub(super) fn new(configured: &[(String, Secret)], place: &ServerUrl) -> Result<Self, String> {
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
        Ok(ConfiguredHeaders(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_and_shown_to_nobody() {
        let place = ServerUrl::parse_remote("http://127.0.0.1:9001/mcp").unwrap();
        let one = |name: &str, value: &str| {
            let configured = [(name.to_owned(), Secret::new(value.to_owned()))];
            ConfiguredHeaders::new(&configured, &place).map(|credentials| credentials.headers())
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
