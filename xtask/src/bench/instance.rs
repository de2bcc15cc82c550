//! A private instance of exai.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, Outcome};

/// What is measured, and where.
pub(crate) struct Programs {
    pub(crate) exai: PathBuf,
    pub(crate) echo: PathBuf,
    /// For state directories, and nothing else.
    pub(crate) folder: PathBuf,
}

/// A state directory of its own. When it is dropped, whatever runs in it is stopped and it is removed;
/// drop its clients before, for a shim without a daemon starts one.
pub(crate) struct Instance<'a> {
    programs: &'a Programs,
    home: TempDir,
}

impl<'a> Instance<'a> {
    /// Nothing runs yet. Its servers are `echo1`, `echo2`, …
    pub(crate) fn new(programs: &'a Programs, servers: u32) -> Result<Self, String> {
        Instance::with(programs, servers, &format!("command = {}", json!(programs.echo)))
    }

    /// The same, each server behind two shells that wait for it.
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

    /// Nothing runs yet. Its servers are those of this configuration.
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

    /// A client of the server `echo1`.
    pub(crate) fn shim(&self) -> Command {
        self.exai(&["shim", "--server", "echo1"])
    }

    /// The port that the daemon listens on, and the token.
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

    /// `exai status --json`
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

/// Stops what runs in this state directory. Nothing is fine, too.
pub(crate) fn stop(program: &Path, home: &Path) -> Outcome {
    process::output(&mut exai(program, home, &["stop", "--timeout", "0"])).map(drop)
}

fn exai(program: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("EXAI_HOME", home);
    command.env_remove("EXAI_PORT").env_remove("EXAI_LOG");
    command
}
