//! A real model server: llama.cpp's, with a tiny model of random weights. What it says means nothing, its wire does.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::peers;

/// The server. It ends when it is dropped. Tests that use it live in a module named `peers`.
#[derive(Debug)]
pub struct LlamaServer {
    child: Child,
    address: String,
}

impl LlamaServer {
    /// Starts it and waits until it listens. The model `tiny` is made in `dir`; it has 512 tokens of context.
    ///
    /// # Panics
    /// When llama.cpp's server is not installed, or does not start.
    pub fn start(dir: &Path) -> Self {
        let model = dir.join("tiny.gguf");
        let script = |name: &str| {
            let mut command = Command::new(peers::llama_python());
            command.arg(peers::folder().join(name)).arg(&model);
            command
        };
        let made = script("tiny_model.py").status().expect("Python starts");
        assert!(made.success(), "tiny_model.py: {made}");
        let mut command = script("llama_server.py");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("Python starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("BUG: it has a pipe");
        BufReader::new(stdout).read_line(&mut address).expect("the address of the server");
        let address = address.trim().to_owned();
        assert!(address.starts_with("http://"), "llama_server.py says {address:?}");
        LlamaServer { child, address }
    }

    /// Its `base_url`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.address)
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
