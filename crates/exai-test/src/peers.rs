//! The official SDKs as judges: what do their clients see through exai?
//!
//! A thin door to the scripts in `tests/peers`, which `cargo xtask peers` makes able to run. Tests that
//! use it live in a module named `peers`, so that `cargo xtask test --fast` can leave them out.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program;

/// The servers there are scenarios for.
pub const SERVERS: [&str; 5] = ["fixture", "everything", "filesystem", "memory", "python"];

/// An official SDK, as a client.
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
    /// All of them; on Windows the one that `cargo xtask windows` installs.
    pub const ALL: &[Self] =
        if cfg!(windows) { &[Self::Python1] } else { &[Self::Python1, Self::Python2, Self::TypeScript] };

    /// Runs the scenario of `server` directly and over `way`; the error is the difference.
    ///
    /// `way` is what `--b` of the scripts takes, such as `{"stdio": ["exai", "shim"]}`. `dir` is the
    /// folder the server works in; it is emptied, so two comparisons at once need two.
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

    /// How `server` is to be configured so that it equals the direct one: an object with `command`,
    /// `args` and `env`.
    ///
    /// # Panics
    /// When the peers are not installed.
    pub fn server(self, server: &str, dir: &Path) -> Value {
        let mut command = self.comparison();
        command.args(["--server", server, "--print-server", "--dir"]).arg(dir);
        let output = command.output().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}; run `cargo xtask peers`: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// A session over `way` that calls tools of a fixture server until it gets a line; `survive.py` says more.
    ///
    /// # Panics
    /// When the peers are not installed.
    pub fn survive(self, way: &Value) -> Command {
        let mut command = self.script("survive");
        command.arg(way.to_string());
        command
    }

    /// Sessions over `way`, one after the other, that call tools of a fixture server until they get a line; `anew.py` says
    /// more.
    ///
    /// # Panics
    /// When the peers are not installed.
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

/// The Python of the first SDK's virtual environment; `uv` and `uvx` are beside it.
///
/// # Panics
/// When the peers are not installed.
pub fn python() -> PathBuf {
    let python = root().join(".peers/py1").join(VENV_PYTHON);
    assert!(python.exists(), "{} is missing; run `cargo xtask peers`", python.display());
    python
}

/// The folder with the scripts and what else the comparisons need.
pub fn folder() -> PathBuf {
    root().join("tests/peers")
}

const VENV_PYTHON: &str = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
const NODE: &str = if cfg!(windows) { "node.exe" } else { "node" };

fn root() -> PathBuf {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.ancestors().nth(2).expect("this crate is two folders below the root").to_owned()
}
