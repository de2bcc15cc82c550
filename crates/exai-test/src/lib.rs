//! Support for tests: the fixture server, waiting for conditions, faulty connections, the official SDKs as judges.
//!
//! This crate is only ever a development dependency. The product contains nothing of it.

mod eventually;
mod free_port;
pub mod peers;
mod programs;
pub mod proxy;
mod random;

pub use eventually::eventually;
pub use free_port::free_port;
pub use programs::{asleep, program, sleeper};
pub use random::{Random, scaled};
