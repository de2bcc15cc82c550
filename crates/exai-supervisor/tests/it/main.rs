//! Jobs with real processes: the fixture server, and shell scripts for everything that the fixture cannot do.

#![expect(clippy::print_stderr, reason = "docs/fault-tests.md has the figures")]

#[cfg(target_os = "linux")]
mod birth;
mod crashes;
mod elsewhere;
mod leftovers;
mod lines;
mod stderr;
mod stopping;
mod support;
#[cfg(target_os = "linux")]
mod tree;
