//! Test support: the fixture server, private daemons, condition waiting.
//!
//! A development dependency only. Nothing here is part of the product.

mod eventually;
mod programs;

pub use eventually::eventually;
pub use programs::program;
