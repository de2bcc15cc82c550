//! Lints while code is compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project;

/// Lets `cargo`, which compiles, compile the workspace with this clippy. It refuses what `cargo clippy -- -D warnings`
/// refuses, and saves compiling everything a second time for that. clippy itself tells cargo what it depends on.
pub(crate) fn while_compiling(cargo: &mut Command, clippy: &Path) {
    cargo.env("RUSTC_WORKSPACE_WRAPPER", clippy);
    cargo.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
}

/// The cargo that runs xtask, which lints what it compiles.
pub(crate) fn cargo() -> Command {
    let mut cargo = project::cargo();
    // Beside rustup's cargo is the clippy of the same toolchain.
    let beside = Path::new(cargo.get_program()).with_file_name("clippy-driver");
    let clippy = if beside.exists() { beside } else { PathBuf::from("clippy-driver") };
    while_compiling(&mut cargo, &clippy);
    cargo
}
