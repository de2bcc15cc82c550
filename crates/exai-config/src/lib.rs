//! Layered configuration with the origin of each value, paths, environment catalogue.
//!
//! Three layers, the later winning: the defaults in this code, `config.toml` in the state directory, and
//! the environment variables of [`environment`]. Values are kept as they were written: what `${…}` in
//! them means is known only where a server is started ([`expand`]).

mod account;
pub mod ai;
pub mod choice_edit;
pub mod edit;
pub mod environment;
pub mod expand;
pub mod last_good;
pub mod limits;
pub mod live;
pub mod model;
pub mod named_token;
pub mod named_token_edit;
pub mod other_daemons;
pub mod provider;
pub mod provider_edit;
pub mod secret_edit;
pub mod secret_store;
pub mod server_name;

mod allowed_hosts;
mod client;
mod dialect;
mod fault;
mod home;
mod in_order;
mod load;
mod mistakes;
mod raw;
mod salvage;
mod secret;
mod server;
mod sign_in;
mod span;
mod via;
mod web_address;

pub use account::{AccountConfig, Accounts};
pub use ai::AiSettings;
pub use allowed_hosts::AllowedHosts;
pub use client::{ClientConfig, Clients};
pub use home::{Home, HomeError, Note};
pub use limits::MAX_CONFIG_BYTES;
pub use load::{Config, ConfigError, DEFAULT_PORT, DaemonConfig, Origin, Setting, load};
pub use model::ModelAlias;
pub use provider::{Dialect, Provider};
pub use secret::Secret;
pub use server::{
    Containment, EraChoice, ServerConfig, ServerKind, Servers, Share, StartPolicy, ToolFilter, shown_args,
};
pub use sign_in::SignInConfig;
pub use via::{SSH, Via};
