//! Where clients come in: sockets, access control, and the three protocols.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod control;
pub mod frames;
pub(crate) mod http;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod routes;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod unauthenticated;
pub mod upgrade;
pub(crate) mod websocket;
