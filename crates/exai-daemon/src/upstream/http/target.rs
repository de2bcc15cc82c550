//! How a server with a URL is reached: the URL, the credentials and, for a server that the daemon starts, the time that it
//! has until it listens.

use std::net::SocketAddr;
use std::time::Duration;

use exai_config::Secret;
use exai_os::clock;
use hyper::{HeaderMap, Uri};

use super::credentials::Credentials;
use super::port_check::holder;
use super::server_url::ServerUrl;
use crate::limits::PORT_FREE_TIMEOUT;
use crate::upstream::sign_ins::ServerSignIn;

/// How often the port is checked while another process holds it.
const PORT_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How a server with a URL is reached.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    pub(super) place: ServerUrl,
    pub(super) credentials: Credentials,
}

impl HttpTarget {
    /// Checks the URL and the headers of a server that runs elsewhere. The error reads after "the server".
    pub(crate) fn remote(url: &str, headers: &[(String, Secret)]) -> Result<Self, String> {
        HttpTarget::at(ServerUrl::parse_remote(url)?, headers)
    }

    /// The same for a server that speaks WebSocket: a conversation with it begins with a request of HTTP. `None` when the URL
    /// has another scheme.
    pub(crate) fn web_socket(url: &str, headers: &[(String, Secret)]) -> Option<Result<Self, String>> {
        let place = ServerUrl::parse_web_socket(url)?;
        Some(place.and_then(|place| HttpTarget::at(place, headers)))
    }

    fn at(place: ServerUrl, headers: &[(String, Secret)]) -> Result<Self, String> {
        if !headers.is_empty() && place.is_readable_by_others() {
            let (plain, secure) = place.schemes();
            let what = format!("its `headers` could be read on their way to an address with {plain}");
            return Err(format!("could not be started: {what}; use {secure}"));
        }
        let credentials = Credentials::new(headers, &place)?;
        Ok(HttpTarget { place, credentials })
    }

    /// Shows the token of a sign-in, unless others could read it on its way.
    pub(crate) fn with_sign_in(self, sign_in: ServerSignIn) -> Self {
        if self.place.is_readable_by_others() {
            return self;
        }
        HttpTarget { credentials: self.credentials.with_sign_in(sign_in), ..self }
    }

    /// Where a request goes, and the headers that it has besides those of its protocol.
    pub(in crate::upstream) fn request_head(&self) -> Option<(Uri, HeaderMap)> {
        Some((self.place.absolute(&self.place.path)?, self.credentials.configured()))
    }
}

/// How a server is reached that the daemon starts and that opens a port of its own.
#[derive(Debug)]
pub(crate) struct OwnTarget {
    pub(in crate::upstream) http: HttpTarget,
    /// Where it is to listen; never empty. `localhost` may mean two addresses.
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) start_timeout: Duration,
}

impl OwnTarget {
    /// Checks a URL and the headers. The error reads after "the server".
    pub(crate) fn new(
        url: &str,
        headers: &[(String, Secret)],
        start_timeout: Duration,
    ) -> Result<Self, String> {
        let (place, addrs) = ServerUrl::parse_own(url)?;
        let credentials = Credentials::new(headers, &place)?;
        Ok(OwnTarget { http: HttpTarget { place, credentials }, addrs, start_timeout })
    }

    /// Whether the server speaks WebSocket, and not HTTP alone.
    pub(crate) fn is_web_socket(&self) -> bool {
        self.http.place.is_web_socket()
    }

    /// Where the server is to listen; the first of the possible addresses.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addrs[0]
    }

    /// Checks whether the port is free, and waits a moment if not. Blocks. The error reads after "the server".
    pub(crate) fn make_room(&self) -> Result<(), String> {
        let end = clock::now() + PORT_FREE_TIMEOUT.min(self.start_timeout);
        while let Some(who) = holder(&self.addrs) {
            if clock::now() >= end {
                return Err(format!("was not started: {who}, which is no process of this server"));
            }
            std::thread::sleep(PORT_LOOK_INTERVAL);
        }
        Ok(())
    }

    pub(super) fn wish(&self) -> String {
        let addrs: Vec<String> = self.addrs.iter().map(ToString::to_string).collect();
        format!("does not listen on {}", addrs.join(" or "))
    }
}
