//! Test support: the fixture server, condition waiting, faulty connections, the official SDKs as judges.
//!
//! A development dependency only. Nothing here is part of the product.

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
