//! The paths of the programs that this workspace builds.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The path of a program of this workspace, such as `exai` or `fixture-server`.
///
/// Cargo tells a test only about programs of its own package, so this function looks next to the running test:
/// `target/debug/deps/it-…` and `target/debug/fixture-server` share a folder.
///
/// # Panics
/// When the program is not built: `cargo build --workspace --bins` builds all programs.
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

/// A process that does nothing until it is ended, on every system: the fixture with `--sleep`.
///
/// # Panics
/// When the fixture is not built.
pub fn sleeper() -> Command {
    asleep(program("fixture-server"))
}

/// A process like that of [`sleeper`], from a copy of the fixture under another name.
pub fn asleep(copy: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(copy);
    command.arg("--sleep").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
