//! The hub: one loop that owns the router, the clients and the instances.

pub(crate) mod event;
pub(crate) mod hub;
pub(crate) mod stopping;
