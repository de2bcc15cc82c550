//! The composition root of the daemon: build, bind, spawn, drain.
