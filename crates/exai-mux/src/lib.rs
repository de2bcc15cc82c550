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
//! - Each request of a client is a *call* from its arrival to its answer. Each time it is sent to an instance is a *leg*:
//!   a resource that one server does not have is read from the next one, in another leg of the same call. Where a call
//!   is, and how it is cancelled, is known in one place (`router::calls`, `handlers::cancelling`).
//! - Towards every instance the router mints its own request ids, and uses the same number as progress
//!   token. An answer is found by that number alone. A number belongs to one instance, and an
//!   instance to one run of the server, so an answer of an earlier run cannot be taken for one of this run.
//!   Nothing is ever routed by an id a client chose: clients all count from zero.
//! - Towards every client the router mints the ids of the questions of servers (sampling, elicitation,
//!   roots), in the same way, from one counter for all clients: no number means two questions. A question goes to the
//!   client of the request that it names, or to the only client that it can be meant for.
//! - Messages are never parsed into a model and written again. The router finds the few places that must
//!   change (id, progress token, a prefixed name) and splices them; every other byte passes through.
//! - What can be read in two ways (a key of `params` twice, escaped, in another case) is refused: the receiver
//!   could read another place than the one that was checked and changed.
//! - An instance is initialised once, by the router; its result is replayed to each client.
//! - What needs a running server waits in the instance until it is ready, or is answered with -31006.
//!
//! # Rooms
//!
//! From the ground up; a room knows only the rooms above it in this list:
//!
//! - `limits`: every bound.
//! - `types`: ids, events, effects, policies and what else everything is written in. They hold no state.
//! - `dialect`: how what the router means is said on the wire. Pure functions, one file for each dialect of MCP.
//! - `client`, `instance`, `server`: the state of one client, of one run of a server, of one configured server. Each
//!   changes itself alone and asks for no effects.
//! - `router`: the whole state, in parts with private fields, and the words in which effects are asked for.
//! - `handlers`: what is done about each event. Handlers are methods of the router and hold no state. `handlers.rs` is
//!   the entrance: it says which handler each event goes to. Messages come in at `client_messages` and
//!   `server_messages`.
//! - `view`, `counts`, `explain_sharing`: what can be asked of the router. These change nothing.

mod client;
pub mod counts;
mod dialect;
mod explain_sharing;
mod handlers;
mod instance;
mod limits;
mod router;
mod server;
mod types;
pub mod view;

pub use limits::{CALL_TOTAL_TIMEOUT, MAX_REQUESTS_PER_CLIENT};
pub use router::Router;
pub use server::parameter_headers::read_parameter_headers;
pub use types::account::Account;
pub use types::choice::{Choice, ClientName};
pub use types::discovery::Discovery;
pub use types::effect::{About, Effect};
pub use types::era::Era;
pub use types::era_verdict::EraVerdict;
pub use types::event::{Down, Event, See, Unreadable, Unsent};
pub use types::ids::{ClientId, Endpoint, InstanceId};
pub use types::parameter_header::ParameterHeader;
pub use types::{account, names, policy};

/// What servers were seen to do with the capabilities of their clients.
pub mod behaviour {
    pub use crate::types::capability::{CLIENT_CAPABILITIES, ClientCapability};
    pub use crate::types::observed_behaviour::ObservedBehaviour;
}
