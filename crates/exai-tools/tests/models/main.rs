//! Models behind a real HTTP server on this machine, through the real client.

mod bounds;
mod choosing;
mod dialects;
mod faults;
mod peers;
mod scene;
