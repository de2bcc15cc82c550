//! The bridge between the suite and a stdio server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::program;

/// A bridge from HTTP to a stdio server. It ends when this is dropped.
#[derive(Debug)]
pub struct Bridge {
    process: Child,
    url: String,
}

impl Bridge {
    /// Starts a bridge to the server that `server` would start. Of the command only the program, the arguments and the
    /// environment count.
    ///
    /// # Panics
    /// When the bridge is not built, or does not start.
    pub fn start(server: &Command) -> Self {
        let mut command = Command::new(program("stdio-bridge"));
        command.arg(server.get_program()).args(server.get_args());
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the bridge starts");
        let mut url = String::new();
        let output = process.stdout.take().expect("stdout is a pipe");
        BufReader::new(output).read_line(&mut url).expect("the bridge says where it listens");
        Bridge { process, url: url.trim_end().to_owned() }
    }

    /// The URL of the MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Its end closes the stdin of its servers, by which they know that they shall end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
