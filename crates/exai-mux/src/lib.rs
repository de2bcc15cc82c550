//! The pure routing core: events in, effects out. No tokio, no clock, no I/O.
