//! The dialects of MCP: how what the router means is said on the wire.
//!
//! A dialect is pure functions. It reads what a message asks for and writes the messages that are not passed on but made
//! here; it knows neither the state nor the effects of the router. There is one file for each dialect: [`legacy`] is every
//! revision that begins with `initialize`, all before 2026-07-28.

pub(crate) mod legacy;
