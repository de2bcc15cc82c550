//! What stands in the way of a connection, found in the chain of causes of an error.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// What stands in the way of a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The connection was not made within this time.
    #[error("no connection within {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The other side is not trusted, or does not speak TLS.
    #[error("no trusted TLS connection: {0}")]
    Tls(String),
    /// No address is known for the host.
    #[error("the host has no address")]
    NoAddress,
    /// The address is one of a private network, and this connector avoids those.
    #[error("{0} is an address of a private network, where nothing is asked on the word of another server")]
    PrivateNetwork(IpAddr),
    /// Nobody listens there.
    #[error("the connection is refused")]
    Refused,
    /// Anything else, in its own words; also what a proxy says, with its address and without its password.
    #[error("{0}")]
    Other(String),
}

impl Obstacle {
    /// What stands in the way according to the error of a [`Connector`](crate::Connector), or of an HTTP client that has
    /// used it: look at `is_connect` of that one first.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        // A side that hangs up when it is greeted does not speak TLS either.
        let is_tls = |cause: &(dyn Error + 'static)| {
            cause.is::<rustls::Error>() || cause.to_string() == "tls handshake eof"
        };
        let kind =
            causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last();
        if let Some(known) = causes(error).find_map(|cause| cause.downcast_ref::<Obstacle>()) {
            known.clone()
        } else if causes(error).any(is_tls) {
            Obstacle::Tls(root_cause(error))
        } else if causes(error).any(|cause| cause.to_string().starts_with("dns error")) {
            Obstacle::NoAddress
        } else if kind == Some(io::ErrorKind::ConnectionRefused) {
            Obstacle::Refused
        } else {
            Obstacle::Other(root_cause(error))
        }
    }
}

/// What the deepest cause of an error says.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| next_cause(*cause))
}

/// The cause of an error. An `io::Error` that carries another error gives only that one's source as its own.
fn next_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => Some(carried),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_however_deep_they_are() {
        let carried = |error: rustls::Error| io::Error::other(io::Error::other(error));
        let not_trusted = carried(rustls::Error::General("nobody is trusted".to_owned()));
        let Obstacle::Tls(why) = Obstacle::of(&not_trusted) else { panic!("{not_trusted}") };
        assert!(why.contains("nobody is trusted"), "{why}");
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(Obstacle::of(&refused), Obstacle::Refused);
        let slow = io::Error::other(Obstacle::TooSlow(Duration::from_millis(1500)));
        assert_eq!(Obstacle::of(&slow).to_string(), "no connection within 1.5 s");
        let other = io::Error::other("something else");
        assert_eq!(Obstacle::of(&other), Obstacle::Other("something else".to_owned()));
    }
}
