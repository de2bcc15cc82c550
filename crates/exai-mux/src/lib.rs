//! The pure routing core: [`Router::handle`] takes an [`Event`] and the time, and says what to do about it
//! as [`Effect`]s. No tokio, no clock, no I/O: what happens between two hundred clients and their servers
//! can be replayed in a table.
//!
//! # Theory of operation
//!
//! A *client* is one MCP conversation with a person's program (a shim, a WebSocket, an HTTP session). An
//! *instance* is one run of a configured *server*; clients with the same [share key](policy::ShareKey) use
//! the same instance.
//!
//! - Towards every instance the router mints its own request ids, and uses the same number as progress
//!   token. What comes back is found by that number alone. A number belongs to one instance, and an
//!   instance to one run of the server, so an answer of an earlier run cannot be taken for one of this.
//!   Nothing is ever routed by an id a client chose: clients all count from zero.
//! - Towards every client the router mints the ids of the requests that servers ask (sampling, elicitation,
//!   roots), in the same way, from one counter for all clients: no number means two questions.
//! - Messages are never parsed into a model and written again. The router finds the few places that must
//!   change (id, progress token, a prefixed name) and splices them; every other byte passes through.
//! - What can be read in two ways (a key of `params` twice, escaped, in another case) is refused: the receiver
//!   could read another place than the one that was checked and changed.
//! - An instance is initialised once, by the router; its result is replayed to each client.
//! - Whatever needs a running server waits in the instance until it is ready, or is answered with -31006.
//!
//! The files follow the way of a message: [`downstream`] (from clients), [`upstream`] (from servers),
//! [`aggregate`] (one client, all servers), [`lists`] (what all servers have), [`resources`] (whose an address is),
//! [`listing`] and [`news`] (servers whose lists do not come, or change without end), [`sharing`] (who is served by which
//! instance), [`opening`] and [`endings`] (starts, ends, time).

mod aggregate;
mod capabilities;
mod catalogue;
mod client;
mod configure;
pub mod counts;
mod discovery;
mod downstream;
mod draining;
mod endings;
mod event;
mod garbled;
mod handed;
mod health;
mod instance;
mod lanes;
mod level;
mod limits;
mod listing;
mod lists;
pub mod names;
mod news;
mod opening;
pub mod policy;
mod repeat;
mod resources;
mod retire;
mod router;
mod sharing;
pub mod traits;
mod upstream;
pub mod view;
mod why;

pub use discovery::Discovery;
pub use event::{About, ClientId, Down, Effect, Endpoint, Event, Garbled, InstanceId, See, Unsent};
pub use router::Router;
