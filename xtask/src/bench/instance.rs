//! A private instance of exai.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, Outcome};

/// The measured programs, and the folder of the measurements.
pub(crate) struct Programs {
    pub(crate) exai: PathBuf,
    pub(crate) echo: PathBuf,
    /// The folder of the state directories, which holds nothing else.
    pub(crate) folder: PathBuf,
}

/// A private state directory. Dropping it stops the daemon in it and removes it. Its clients must be dropped before,
/// since a shim without a daemon starts one.
pub(crate) struct Instance<'a> {
    programs: &'a Programs,
    home: TempDir,
}

impl<'a> Instance<'a> {
    /// An instance without any process yet. Its servers are `echo1`, `echo2`, …
    pub(crate) fn new(programs: &'a Programs, servers: u32) -> Result<Self, String> {
        Instance::with(programs, servers, &format!("command = {}", json!(programs.echo)))
    }

    /// Like [`Instance::new`] with one server, and another one, `modern`, that speaks the modern era.
    pub(crate) fn of_both_eras(programs: &'a Programs) -> Result<Self, String> {
        let echo = json!(programs.echo);
        let modern = format!("[servers.modern]\ncommand = {echo}\nargs = [\"--modern\"]\n");
        Instance::of(programs, &format!("[servers.echo1]\ncommand = {echo}\n{modern}"))
    }

    /// Like [`Instance::new`], but each server is behind two shells that wait for it.
    pub(crate) fn behind_shells(programs: &'a Programs, servers: u32) -> Result<Self, String> {
        let script = format!("sh -c '{}; true'; true", programs.echo.display());
        Instance::with(programs, servers, &format!("command = \"sh\"\nargs = [\"-c\", {}]", json!(script)))
    }

    fn with(programs: &'a Programs, servers: u32, what: &str) -> Result<Self, String> {
        let mut config = String::new();
        for number in 1..=servers {
            // Writing to a string cannot fail.
            let _ = writeln!(config, "[servers.echo{number}]\n{what}");
        }
        Instance::of(programs, &config)
    }

    /// An instance without any process yet, with the servers of this configuration.
    pub(crate) fn of(programs: &'a Programs, servers: &str) -> Result<Self, String> {
        let failed = |error| format!("a private state directory cannot be made: {error}");
        let home = tempfile::Builder::new().prefix("home-").tempdir_in(&programs.folder).map_err(failed)?;
        let config = format!("[daemon]\nport = 0\n{servers}");
        std::fs::write(home.path().join("config.toml"), config).map_err(failed)?;
        Ok(Instance { programs, home })
    }

    pub(crate) fn exai(&self, arguments: &[&str]) -> Command {
        exai(&self.programs.exai, self.home.path(), arguments)
    }

    /// The command of a shim for the server `echo1`.
    pub(crate) fn shim(&self) -> Command {
        self.exai(&["shim", "--server", "echo1"])
    }

    /// The command of a shim for the server `modern`.
    pub(crate) fn modern_shim(&self) -> Command {
        self.exai(&["shim", "--server", "modern"])
    }

    /// The daemon's port and its token.
    pub(crate) fn tcp(&self) -> Result<(u16, String), String> {
        let record = self.read("daemon.json")?;
        let record: Value = serde_json::from_str(&record).map_err(|error| format!("daemon.json: {error}"))?;
        let mut listeners = record["listeners"].as_array().into_iter().flatten();
        let port = listeners
            .find_map(|listener| listener["addr"].as_str()?.strip_prefix("127.0.0.1:")?.parse().ok());
        Ok((port.ok_or("the daemon listens on no port")?, self.read("token")?.trim().to_owned()))
    }

    fn read(&self, name: &str) -> Result<String, String> {
        std::fs::read_to_string(self.home.path().join(name)).map_err(|error| format!("{name}: {error}"))
    }

    /// The document of `exai status --json`.
    pub(crate) fn status(&self) -> Result<Value, String> {
        let text = process::output(&mut self.exai(&["status", "--json"]))?;
        serde_json::from_str(&text).map_err(|error| format!("`exai status --json`: {error}"))
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        if let Err(error) = stop(&self.programs.exai, self.home.path()) {
            eprintln!("      a daemon may still run: {error}");
        }
    }
}

/// Stops the daemon of this state directory. It is no error if there is none.
pub(crate) fn stop(program: &Path, home: &Path) -> Outcome {
    process::output(&mut exai(program, home, &["stop", "--timeout", "0"])).map(drop)
}

fn exai(program: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("EXAI_HOME", home);
    command.env_remove("EXAI_PORT").env_remove("EXAI_LOG");
    command
}
