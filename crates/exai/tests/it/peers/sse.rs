//! Servers of the official SDKs that run elsewhere and speak the HTTP+SSE transport.

use std::process::{Child, Command, Stdio};

use exai_test::peers::Sdk;
use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// A server at a port. It ends when this is dropped.
pub(super) struct Elsewhere(Child);

impl Elsewhere {
    fn start(config: &Value, more: &[&str], port: u16) -> Self {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let mut command = Command::new(text(&config["command"]));
        let args = config["args"].as_array().into_iter().flatten().map(text);
        command.args(args.filter(|argument| argument != "stdio")).args(more).env("PORT", port.to_string());
        for (name, value) in config["env"].as_object().into_iter().flatten() {
            command.env(name, text(value));
        }
        Elsewhere::run(command, port)
    }

    /// Runs a server that listens at this port.
    pub(super) fn run(mut command: Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Elsewhere(child.expect("it starts"));
        eventually("the server listens", LIMIT, || std::net::TcpStream::connect(("localhost", port)).is_ok());
        server
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two clients list and call the tools of the server, with progress on the way.
fn is_served(port: u16, (tool, arguments, expected): (&str, Value, &str), steps: (&str, Value)) {
    let url = format!("http://127.0.0.1:{port}/sse");
    let instance = Instance::new(&format!("[servers.far]\nurl = {}\n", json!(url)));
    instance.ends(0, &["start"]);
    let mut clients = [instance.client("far"), instance.client("far")];
    for client in &mut clients {
        let tools = client.ask("tools/list", &json!({}))["result"]["tools"].clone();
        let names: Vec<&Value> = tools.as_array().into_iter().flatten().map(|one| &one["name"]).collect();
        assert!(names.contains(&&json!(tool)) && names.contains(&&json!(steps.0)), "{names:?}");
        super::hears_steps(client, (tool, &arguments, expected), &steps);
    }
}

#[test]
fn python_1_over_sse() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let config = Sdk::Python1.server("python", dir.path());
    let _server = Elsewhere::start(&config, &["--sse", &port.to_string()], port);
    is_served(port, ("add", json!({"a": 1, "b": 2}), "3.0"), ("count", json!({"to": 3})));
}

#[test]
fn typescript_over_sse() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let _server = Elsewhere::start(&Sdk::TypeScript.server("everything", dir.path()), &["sse"], port);
    let steps = ("trigger-long-running-operation", json!({"duration": 0.3, "steps": 3}));
    is_served(port, ("echo", json!({"message": "hello"}), "Echo: hello"), steps);
}
