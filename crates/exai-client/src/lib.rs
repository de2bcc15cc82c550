//! stub
mod buffer;
pub mod frame;
mod glance;
#[allow(dead_code)]
mod lines;
#[allow(dead_code)]
mod session;
