//! Connections to other machines: TCP or a tunnel through a proxy, TLS on top, all within one time.
//!
//! A [`Connector`] is what the HTTP client of hyper asks for connections, and gives a plain stream ([`Connector::open`])
//! to whoever speaks something else, such as WebSocket. What stands in the way of a connection is an [`Obstacle`].

mod configured_headers;
mod connector;
mod obstacle;
mod private_network;
mod proxies;
mod route;
mod tls;

pub use configured_headers::read_headers;
pub use connector::{Connector, Failure, HttpStream, Stream};
pub use obstacle::{Obstacle, root_cause};
pub use private_network::is_private;
pub use proxies::Proxies;
pub use tls::{CERTIFICATES, Security, Tls, TlsUnavailable};
