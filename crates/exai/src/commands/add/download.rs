//! Fetches over HTTPS, within bounds: how long, how much, and where it leads to.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

use crate::limits::{FETCH_CONNECT_TIMEOUT, MAX_REDIRECTS};

/// What may be fetched.
pub(super) struct Fetch {
    /// How long it may take in all.
    pub(super) timeout: Duration,
    /// How much it may be, in bytes.
    pub(super) max_bytes: u64,
    pub(super) redirects: Redirects,
}

/// Where an answer may lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    /// The same host and port.
    SameOrigin,
    /// Any host, over HTTPS: what is fetched has a known hash.
    AnyHost,
}

/// An answer.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Fetch {
    /// Fetches what is at a URL. The error is a sentence that goes on after a name.
    pub(super) fn get(&self, url: &str) -> Result<Answer, String> {
        let deadline = Instant::now() + self.timeout;
        let first = parse(url)?;
        let mut at = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut response =
                agent(&at, left).get(at.clone()).call().map_err(|error| self.explain(&error))?;
            let status = response.status();
            if status.is_redirection() {
                let location = response.headers().get("location").and_then(|location| location.to_str().ok());
                at = self.follow(&at, location.unwrap_or_default())?;
                continue;
            }
            let mut body = Vec::new();
            let read = response.body_mut().as_reader().take(self.max_bytes + 1).read_to_end(&mut body);
            read.map_err(|error| self.explain(&error.into()))?;
            if body.len() as u64 > self.max_bytes {
                return Err(format!("has more than {} KiB to say", self.max_bytes >> 10));
            }
            return Ok(Answer { status: status.as_u16(), body });
        }
        Err(format!("leads to another place more than {MAX_REDIRECTS} times"))
    }

    fn follow(&self, from: &Uri, location: &str) -> Result<Uri, String> {
        let to = if location.starts_with('/') && !location.starts_with("//") {
            let authority = from.authority().map_or("", |authority| authority.as_str());
            format!("{}://{authority}{location}", from.scheme_str().unwrap_or("https"))
        } else {
            location.to_owned()
        };
        let leads = || format!("leads to another place, and that is not followed: {to:?}");
        let to_uri = parse(&to).map_err(|_| leads())?;
        let is_same = origin(from) == origin(&to_uri);
        let is_fine = match self.redirects {
            Redirects::SameOrigin => is_same,
            Redirects::AnyHost => is_same || to_uri.scheme_str() == Some("https"),
        };
        if is_fine { Ok(to_uri) } else { Err(leads()) }
    }

    fn explain(&self, error: &ureq::Error) -> String {
        let late = || format!("has not answered within {} s", self.timeout.as_secs());
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                format!("cannot be reached within {} s", FETCH_CONNECT_TIMEOUT.as_secs())
            }
            ureq::Error::Timeout(_) => late(),
            ureq::Error::HostNotFound => "cannot be found: its host has no address".to_owned(),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => late(),
            ureq::Error::Io(error) => format!("cannot be reached: {error}"),
            ureq::Error::Rustls(error) => format!("cannot be trusted: {error}"),
            ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => {
                format!("cannot be reached through the proxy of this terminal: {error}")
            }
            error => format!("cannot be reached: {error}"),
        }
    }
}

/// A URL that may be fetched: over HTTPS, or on this machine.
fn parse(url: &str) -> Result<Uri, String> {
    let refused = || "is at no https URL".to_owned();
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("https") if is_plain => Ok(uri),
        Some("http") if is_plain && is_local(&uri) => Ok(uri),
        _ => Err(refused()),
    }
}

/// Whether a URL may be fetched: over HTTPS, or on this machine.
pub(super) fn is_fetchable(url: &str) -> bool {
    parse(url).is_ok()
}

/// Whether a URL is at this machine.
fn is_local(uri: &Uri) -> bool {
    matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn origin(uri: &Uri) -> (Option<&str>, Option<String>, u16) {
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().unwrap_or(usual))
}

fn agent(uri: &Uri, timeout: Duration) -> Agent {
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(cryptography)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    // A proxy does not reach this machine.
    let proxy = if is_local(uri) { None } else { Proxy::try_from_env() };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_global(Some(timeout))
        .timeout_connect(Some(FETCH_CONNECT_TIMEOUT))
        .timeout_resolve(Some(FETCH_CONNECT_TIMEOUT))
        .tls_config(tls)
        .user_agent(concat!("exai/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::new_with_config(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_read_on_the_way_is_fetched() {
        for good in ["https://example.com/x", "http://127.0.0.1:1/x", "http://localhost/", "http://[::1]:8/"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "ftp://x/",
            "file:///etc/passwd",
            "x",
            "https://u:p@x/",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_that_is_silent_or_goes_on_without_end_is_left() {
        use std::io::Write as _;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let fetch =
            Fetch { timeout: Duration::from_millis(300), max_bytes: 1000, redirects: Redirects::SameOrigin };
        let start = Instant::now();
        assert!(fetch.get(&url).err().unwrap().contains("has not answered within"));
        // It sends a little now and then, and never ends.
        std::thread::spawn(move || {
            let (mut silent, _) = listener.accept().unwrap();
            let (mut dripping, _) = listener.accept().unwrap();
            let _ = silent.write_all(b"");
            let _ = dripping.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while dripping.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(fetch.get(&url).err().unwrap().contains("has not answered within"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn redirects_stay_where_they_may() {
        let fetch = |redirects| Fetch { timeout: Duration::ZERO, max_bytes: 0, redirects };
        let from = parse("https://a.example/x").unwrap();
        for (to, same, any) in [
            ("/y", true, true),
            ("https://A.example:443/y", true, true),
            ("https://a.example:444/y", false, true),
            ("https://b.example/y", false, true),
            ("http://a.example/y", false, false),
            ("http://127.0.0.1/y", false, false),
            ("//b.example/y", false, false),
            ("", false, false),
        ] {
            assert_eq!(fetch(Redirects::SameOrigin).follow(&from, to).is_ok(), same, "{to}");
            assert_eq!(fetch(Redirects::AnyHost).follow(&from, to).is_ok(), any, "{to}");
        }
    }
}
