//! The official SDKs as judges: what do their clients see through exai?
//!
//! This module runs the scripts in `tests/peers`, for which `cargo xtask peers` installs the SDKs. Tests that use it
//! live in a module named `peers`, so that `cargo xtask test --fast` can leave them out.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program;

/// The servers for which there are scenarios.
pub const SERVERS: [&str; 5] = ["fixture", "everything", "filesystem", "memory", "python"];

/// An official SDK, used as a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `mcp` 1.x: stdio, Streamable HTTP, WebSocket.
    Python1,
    /// `mcp` 2.x in legacy mode: stdio, Streamable HTTP.
    Python2,
    /// `@modelcontextprotocol/sdk` 1.x: stdio, Streamable HTTP, WebSocket.
    TypeScript,
}

impl Sdk {
    /// All SDKs; on Windows only the one that `cargo xtask windows` installs.
    pub const ALL: &[Self] =
        if cfg!(windows) { &[Self::Python1] } else { &[Self::Python1, Self::Python2, Self::TypeScript] };

    /// Runs the scenario of `server` directly and over `way`. An error holds the differences.
    ///
    /// `way` is what `--b` of the scripts takes, such as `{"stdio": ["exai", "shim"]}`. `dir` is the working folder of
    /// the server. The script empties the folder, so two comparisons at the same time need two folders.
    pub fn compare(self, server: &str, dir: &Path, way: &Value) -> Result<(), String> {
        let way = way.to_string();
        let mut command = self.comparison();
        command.args(["--server", server, "--b", &way, "--dir"]).arg(dir);
        let output = command.output().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// The configuration that makes `server` equal to the directly started one: an object with `command`, `args` and
    /// `env`.
    ///
    /// # Panics
    /// When the SDKs are not installed.
    pub fn server(self, server: &str, dir: &Path) -> Value {
        let mut command = self.comparison();
        command.args(["--server", server, "--print-server", "--dir"]).arg(dir);
        let output = command.output().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}; run `cargo xtask peers`: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// A command that holds a session over `way` and calls tools of a fixture server until a line on its stdin ends it.
    /// `survive.py` says more.
    ///
    /// # Panics
    /// When the SDKs are not installed.
    pub fn survive(self, way: &Value) -> Command {
        let mut command = self.script("survive");
        command.arg(way.to_string());
        command
    }

    /// A command that holds sessions over `way`, one after the other, and calls tools of a fixture server until a line
    /// on its stdin ends it. `anew.py` says more.
    ///
    /// # Panics
    /// When the SDKs are not installed.
    pub fn begin_anew(self, way: &Value) -> Command {
        let mut command = self.script("anew");
        command.arg(way.to_string());
        command
    }

    fn comparison(self) -> Command {
        let target = program("fixture-server");
        let mut command = self.script("compare");
        command.arg("--target").arg(target.parent().expect("a program is in a folder"));
        command
    }

    fn script(self, name: &str) -> Command {
        if cfg!(windows) {
            let mut command = Command::new("python");
            command.arg(folder().join(name).with_extension("py"));
            return command;
        }
        let peers = root().join(".peers");
        let (interpreter, extension) = match self {
            Self::Python1 => (peers.join("py1").join(VENV_PYTHON), "py"),
            Self::Python2 => (peers.join("py2").join(VENV_PYTHON), "py"),
            Self::TypeScript => (peers.join("node_modules/node/bin").join(NODE), "mjs"),
        };
        assert!(interpreter.exists(), "{} is missing; run `cargo xtask peers`", interpreter.display());
        let mut command = Command::new(interpreter);
        command.arg(folder().join(name).with_extension(extension));
        command
    }
}

/// The Python of the first SDK's virtual environment. `uv` and `uvx` are in the same folder.
///
/// # Panics
/// When the SDKs are not installed.
pub fn python() -> PathBuf {
    let python = root().join(".peers/py1").join(VENV_PYTHON);
    assert!(python.exists(), "{} is missing; run `cargo xtask peers`", python.display());
    python
}

/// The folder with the scripts and the other files that the comparisons need.
pub fn folder() -> PathBuf {
    root().join("tests/peers")
}

const VENV_PYTHON: &str = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
const NODE: &str = if cfg!(windows) { "node.exe" } else { "node" };

fn root() -> PathBuf {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.ancestors().nth(2).expect("this crate is two folders below the root").to_owned()
}
