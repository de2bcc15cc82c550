//! Applications with the official SDKs, in each of their modes: through exai they see what they see directly.

use exai_test::peers::Sdk;
use exai_test::program;
use serde_json::{Value, json};

use super::{Over, PYTHON_2, inline, way};
use crate::support::Instance;

/// The servers as they are started directly: each an object with `command`, `args` and `env`.
struct Servers {
    /// A legacy server.
    everything: Value,
    /// A server that can do both, and serves the era of its first request alone.
    python: Value,
}

impl Servers {
    fn of(instance: &Instance) -> Self {
        let server = |name| Sdk::Python2.server(name, instance.dir());
        Servers { everything: server("everything"), python: server("python") }
    }
}

fn suite(era: &str) -> Value {
    json!({"command": program("suite-server"), "args": ["--era", era], "env": {}})
}

fn host(instance: &Instance, servers: &Servers) {
    let configured = |name: &str, server: &Value| {
        let (command, args, env) = (&server["command"], &server["args"], inline(&server["env"]));
        format!("[servers.{name}]\ncommand = {command}\nargs = {args}\nenv = {env}\n")
    };
    instance.configure(
        &[
            configured("everything", &servers.everything),
            configured(PYTHON_2, &servers.python),
            configured("suite", &suite("modern")),
        ]
        .concat(),
    );
    instance.ends(0, &["start"]);
}

/// A comparison in one mode of an SDK. `server` names the scenario.
fn cell(instance: &Instance, (server, mode): (&str, &str), direct: &Value, ways: &[(&str, Over)]) -> Value {
    let mut command = vec![direct["command"].clone()];
    command.extend(direct["args"].as_array().into_iter().flatten().cloned());
    let name = if server == "python" { PYTHON_2 } else { server };
    let mut all = json!({"direct": {"stdio": command, "env": direct["env"]}});
    for (over, transport) in ways {
        all[format!("through exai, {over}")] = way(instance, *transport, name);
    }
    json!({"server": server, "mode": mode, "ways": all})
}

fn same_in_every_mode(sdk: Sdk) {
    let instance = Instance::new("");
    let servers = Servers::of(&instance);
    host(&instance, &servers);
    let (shim, http) = (("stdio", Over::Shim), ("HTTP", Over::Http));
    let cells = json!([
        cell(&instance, ("everything", "auto"), &servers.everything, &[shim, http]),
        cell(&instance, ("python", "legacy"), &servers.python, &[shim]),
        cell(&instance, ("python", "auto"), &servers.python, &[shim, http]),
        // What a legacy client sees of a modern server is what it sees of a server that speaks both.
        cell(&instance, ("suite", "legacy"), &suite("dual"), &[shim, http]),
        cell(&instance, ("suite", "auto"), &suite("modern"), &[shim, http]),
        cell(&instance, ("suite", "2026-07-28"), &suite("modern"), &[shim, http]),
    ]);
    match sdk.compare_eras(&cells) {
        Ok(said) => eprintln!("{said}"),
        Err(differences) => panic!("{sdk:?} sees something else through exai:\n{differences}"),
    }
}

#[test]
fn python_2_in_every_mode() {
    same_in_every_mode(Sdk::Python2);
}

#[test]
fn typescript_2_in_every_mode() {
    same_in_every_mode(Sdk::TypeScript);
}
