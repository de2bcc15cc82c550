//! Where clients come in: sockets, access control, and the three protocols.

pub(crate) mod access;
pub(crate) mod body;
pub mod frames;
pub(crate) mod http;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod socket;
pub(crate) mod unauthenticated;
pub mod upgrade;
pub(crate) mod websocket;
