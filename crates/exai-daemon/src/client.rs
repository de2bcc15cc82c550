//! The messages from and to clients, below the hub: all input has one budget, the output of each client a bound.

pub(crate) mod coalesce;
pub(crate) mod http_sessions;
pub(crate) mod http_streams;
pub(crate) mod inbound;
pub mod input_budget;
pub(crate) mod message_checks;
pub(crate) mod session_process;
pub(crate) mod sink;
