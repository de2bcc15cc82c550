//! The official SDKs as judges: what do their clients see through exai?
//!
//! This module runs the scripts in `tests/peers`, for which `cargo xtask peers` installs the SDKs. Tests that use it
//! live in a module named `peers`, so that `cargo xtask test --fast` can leave them out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program;

/// The servers for which there are scenarios.
pub const SERVERS: [&str; 5] = ["fixture", "everything", "filesystem", "memory", "python"];

/// An official SDK, used as a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `mcp` 1.x: stdio, Streamable HTTP, WebSocket.
    Python1,
    /// `mcp` 2.x: stdio, Streamable HTTP. In legacy mode, but where it is said otherwise.
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

    /// Compares what applications see of servers over several ways, in the modes of the SDK. `cells` is what the scripts
    /// take; `eras.py` says more. An error holds the differences.
    ///
    /// # Panics
    /// When the SDKs are not installed.
    pub fn compare_eras(self, cells: &Value) -> Result<String, String> {
        let mut command = self.script("eras");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        let mut input = child.stdin.take().expect("stdin is a pipe");
        input.write_all(cells.to_string().as_bytes()).expect("the script reads its cells");
        drop(input);
        let output = child.wait_with_output().expect("the script ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn comparison(self) -> Command {
        let target = program("fixture-server");
        let mut command = self.script("compare");
        command.arg("--target").arg(target.parent().expect("a program is in a folder"));
        command
    }

    /// A command that runs the script of this name in `tests/peers` that is for this SDK.
    ///
    /// # Panics
    /// When the SDKs are not installed.
    pub fn script(self, name: &str) -> Command {
        if cfg!(windows) {
            let mut command = Command::new("python");
            command.arg(folder().join(name).with_extension("py"));
            return command;
        }
        let (interpreter, extension) = match self {
            Self::Python1 => (installed(&format!("py1/{VENV_PYTHON}")), "py"),
            Self::Python2 => (installed(&format!("py2/{VENV_PYTHON}")), "py"),
            Self::TypeScript => (installed(NODE), "mjs"),
        };
        let mut command = Command::new(interpreter);
        command.arg(folder().join(name).with_extension(extension));
        command
    }
}

/// A command that plays the shim of the project that exai comes from, with a daemon at this port whose servers `ai` and
/// `fix` are fixture servers. `origin_shim.py` says more.
///
/// # Panics
/// When the SDKs are not installed: their Python runs the script, which needs no SDK.
pub fn origin_shim(port: u16, token: &str) -> Command {
    let mut command = Sdk::Python1.script("origin_shim");
    command.arg(port.to_string()).arg(token);
    command
}

/// The Python of the first SDK's virtual environment. `uv` and `uvx` are in the same folder.
///
/// # Panics
/// When the SDKs are not installed.
pub fn python() -> PathBuf {
    python_of("py1")
}

/// The Python of the virtual environment that has llama.cpp's server.
///
/// # Panics
/// When it is not installed.
pub fn llama_python() -> PathBuf {
    python_of("llama")
}

/// The Python of the virtual environment that has an ssh server.
///
/// # Panics
/// When it is not installed.
pub fn ssh_python() -> PathBuf {
    python_of("ssh")
}

fn python_of(environment: &str) -> PathBuf {
    installed(&format!("{environment}/{VENV_PYTHON}"))
}

/// A command that runs a script of a package in `node_modules` with the Node that is installed beside it.
pub fn node(script: &str) -> Command {
    let mut command = Command::new(installed(NODE));
    command.arg(module(script));
    command
}

/// A command that runs a script of `tests/peers` with the Node that is installed beside the SDKs.
///
/// # Panics
/// When Node is not installed.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(installed(NODE));
    command.arg(folder().join(name));
    command
}

/// The path of a file of a package in `node_modules`.
pub(crate) fn module(path: &str) -> PathBuf {
    installed(&format!("node_modules/{path}"))
}

/// The path of something that `cargo xtask peers` installs.
pub(crate) fn installed(path: &str) -> PathBuf {
    let path = root().join(".peers").join(path);
    assert!(path.exists(), "{} is missing; run `cargo xtask peers`", path.display());
    path
}

/// The folder with the scripts and the other files that the comparisons need.
pub fn folder() -> PathBuf {
    root().join("tests/peers")
}

const VENV_PYTHON: &str = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
const NODE: &str =
    if cfg!(windows) { "node_modules/node/bin/node.exe" } else { "node_modules/node/bin/node" };

fn root() -> PathBuf {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.ancestors().nth(2).expect("this crate is two folders below the root").to_owned()
}
