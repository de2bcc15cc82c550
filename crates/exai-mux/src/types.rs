//! The types in which all other files are written. None of them knows the router.

pub mod account;
pub(crate) mod capability;
pub(crate) mod choice;
pub(crate) mod client_context;
pub(crate) mod discovery;
pub(crate) mod effect;
pub(crate) mod era;
pub(crate) mod era_verdict;
pub(crate) mod event;
pub(crate) mod ids;
pub(crate) mod introduction;
pub(crate) mod list_kind;
pub(crate) mod log_level;
pub(crate) mod method;
pub mod names;
pub(crate) mod observed_behaviour;
pub(crate) mod parameter_header;
pub mod policy;
pub(crate) mod throttle;
