//! Linux and macOS.

pub(crate) mod account;
pub(crate) mod allocator;
pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod detach;
pub(crate) mod environment;
pub(crate) mod inherited_state;
pub(crate) mod inspect;
pub(crate) mod launchers;
pub(crate) mod local;
pub(crate) mod lock;
pub(crate) mod ownership;
pub(crate) mod place;
pub(crate) mod port;
pub(crate) mod private;
pub(crate) mod search;
pub(crate) mod signal;
pub(crate) mod streams;
pub(crate) mod tree;
pub(crate) mod tree_guard;

#[cfg(target_os = "linux")]
pub(crate) mod process;
#[cfg(not(target_os = "linux"))]
#[path = "process_macos.rs"]
pub(crate) mod process;

#[cfg(target_os = "linux")]
pub(crate) mod process_facts;
#[cfg(not(target_os = "linux"))]
#[path = "process_facts_macos.rs"]
pub(crate) mod process_facts;

#[cfg(target_os = "linux")]
pub(crate) mod apart;
#[cfg(not(target_os = "linux"))]
#[path = "apart_macos.rs"]
pub(crate) mod apart;

#[cfg(target_os = "linux")]
mod manager;
#[cfg(not(target_os = "linux"))]
#[path = "manager_macos.rs"]
mod manager;

#[cfg(target_os = "linux")]
pub(crate) mod keyring;
#[cfg(not(target_os = "linux"))]
#[path = "keyring_macos.rs"]
pub(crate) mod keyring;

#[cfg(target_os = "linux")]
pub(crate) mod descent_tag;
#[cfg(not(target_os = "linux"))]
#[path = "descent_tag_macos.rs"]
pub(crate) mod descent_tag;

#[cfg(target_os = "linux")]
mod child_exits;
#[cfg(not(target_os = "linux"))]
#[path = "child_exits_macos.rs"]
mod child_exits;

pub(crate) mod descriptors;
mod orphans;
mod readiness_pipe;
#[cfg(target_os = "linux")]
mod sock_diag;
mod wire;
