//! How a server with a URL is reached: the URL, the credentials and, for a server that the daemon starts, the time that it
//! has until it listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use exai_config::Secret;
use exai_os::clock;

use super::credentials::{ConfiguredHeaders, Credentials};
use super::port_check::holder;
use super::server_url::ServerUrl;
use crate::limits::PORT_FREE_TIMEOUT;

/// How often the port is checked while another process holds it.
const PORT_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How a server with a URL is reached.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    pub(super) place: ServerUrl,
    pub(super) credentials: Arc<dyn Credentials>,
}

impl HttpTarget {
    /// Checks the URL and the headers of a server that runs elsewhere. The error reads after "the server".
    pub(crate) fn remote(url: &str, headers: &[(String, Secret)]) -> Result<Self, String> {
        let place = ServerUrl::parse_remote(url)?;
        if !headers.is_empty() && place.is_readable_by_others() {
            return Err(
                "could not be started: its `headers` could be read on their way to an http:// address; use https://"
                    .to_owned(),
            );
        }
        let credentials = Arc::new(ConfiguredHeaders::new(headers, &place)?);
        Ok(HttpTarget { place, credentials })
    }
}

/// How a server is reached that the daemon starts and that opens a port of its own.
#[derive(Debug)]
pub(crate) struct OwnTarget {
    pub(super) http: HttpTarget,
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
        let credentials = Arc::new(ConfiguredHeaders::new(headers, &place)?);
        Ok(OwnTarget { http: HttpTarget { place, credentials }, addrs, start_timeout })
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
