//! The door to the daemon: connect or start, and the shim.
