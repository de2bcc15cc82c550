//! Where the programs built from this workspace are.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The path of a program of this workspace, such as `exai` or `fixture-server`.
///
/// Cargo tells a test only about programs of its own package, so this looks next to the running test:
/// `target/debug/deps/it-…` and `target/debug/fixture-server` share a folder.
///
/// # Panics
/// When the program is not there: `cargo build --workspace --bins` builds all of them.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let file = format!("{name}{EXE_SUFFIX}");
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{file} is not built; run `cargo build --workspace --bins` first"))
}

/// A process that does nothing until it is ended, on every system: the fixture, asleep.
///
/// # Panics
/// When the fixture is not built.
pub fn sleeper() -> Command {
    asleep(program("fixture-server"))
}

/// The same in a program of another name: a copy of the fixture.
pub fn asleep(copy: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(copy);
    command.arg("--sleep").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
