//! The official SDKs as judges: a client sees through exai exactly what it sees over direct stdio.

mod agents;
mod authorization;
mod eras;
mod gone;
mod inspector;
#[cfg(windows)]
mod jobs;
mod launchers;
mod origin;
mod proxied;
mod seed;
mod sse;
#[cfg(unix)]
mod ssh;
mod suite;
mod suite_client;
mod survival;

use exai_test::peers::{SERVERS, Sdk};
use exai_test::{free_port, program};
use serde_json::{Value, json};

use crate::support::{Client, Instance};

/// An instance that hosts the servers of the scenarios, each with a directory of its own. The Python server exists
/// twice: each Python SDK compares with a server of its own version.
fn hosting() -> Instance {
    let instance = Instance::new("");
    let configured = |name: &str, server: &str, sdk: Sdk| {
        let dir = instance.dir().join(server);
        std::fs::create_dir_all(&dir).expect("a directory");
        let config = sdk.server(server, &dir);
        let (command, args, env) = (&config["command"], &config["args"], inline(&config["env"]));
        format!("[servers.{name}]\ncommand = {command}\nargs = {args}\nenv = {env}\n")
    };
    let mut servers = SERVERS.map(|server| configured(server, server, Sdk::Python1)).concat();
    servers.push_str(&configured(PYTHON_2, "python", Sdk::Python2));
    instance.configure(&servers);
    instance.ends(0, &["start"]);
    instance
}

/// The name of the Python server that uses version 2 of the SDK.
const PYTHON_2: &str = "python-2";

/// Writes a JSON object of strings as an inline table of TOML.
fn inline(object: &Value) -> String {
    let pairs: Vec<String> = object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{} = {value}", json!(key)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn same(sdk: Sdk, server: &str, instance: &Instance, over: Over) {
    let hosted = if sdk == Sdk::Python2 && server == "python" { PYTHON_2 } else { server };
    let way = way(instance, over, hosted);
    if let Err(difference) = sdk.compare(server, &instance.dir().join(server), &way) {
        panic!("{sdk:?} sees {server} differently over {way}:\n{difference}");
    }
}

/// The transport between an SDK and the server.
#[derive(Clone, Copy)]
enum Over {
    Shim,
    Http,
    WebSocket,
}

fn way(instance: &Instance, over: Over, server: &str) -> Value {
    match over {
        Over::Shim => json!({
            "stdio": [program("exai"), "shim", "--server", server],
            "env": {"EXAI_HOME": instance.home()},
        }),
        Over::Http => {
            let url = format!("http://127.0.0.1:{}/mcp/{server}", instance.port());
            json!({"http": url, "token": instance.token()})
        }
        Over::WebSocket => {
            let url = format!("ws://127.0.0.1:{}/mcp/{server}", instance.port());
            json!({"ws": url, "token": instance.token()})
        }
    }
}

/// Five clients at once on one daemon, three of them behind shims. In each of five rounds each client has a server to
/// itself: the scenarios change the state of servers, so two scenarios at once on one server would differ from direct
/// stdio without any fault of exai.
#[test]
fn five_clients_at_once_see_what_they_see_directly_and_each_server_runs_once_per_share_key() {
    const CLIENTS: [(Sdk, Over); 5] = [
        (Sdk::Python1, Over::Shim),
        (Sdk::Python2, Over::Shim),
        (Sdk::TypeScript, Over::Shim),
        (Sdk::Python1, Over::WebSocket),
        (Sdk::TypeScript, Over::Http),
    ];
    let instance = hosting();
    for round in 0..SERVERS.len() {
        std::thread::scope(|scope| {
            for (number, (sdk, over)) in CLIENTS.into_iter().enumerate() {
                let (instance, server) = (&instance, SERVERS[(round + number) % SERVERS.len()]);
                scope.spawn(move || same(sdk, server, instance, over));
            }
        });
    }
    // The three SDKs declare their capabilities in different words, so each may have one instance. A client over
    // another transport must share the instance of its SDK.
    let status = instance.status();
    for server in status["servers"].as_array().into_iter().flatten().filter(|server| server["name"] != "exai")
    {
        let instances = server["instances"].as_array().map_or(0, Vec::len);
        assert!((1..=3).contains(&instances), "{server}");
        assert_eq!(server["instances"][0]["restarts"], 0, "{server}");
    }
}

fn alone(sdk: Sdk, over: Over) {
    let instance = hosting();
    for server in SERVERS {
        same(sdk, server, &instance, over);
    }
}

#[test]
fn python_1_over_http() {
    alone(Sdk::Python1, Over::Http);
}

#[test]
fn python_2_over_http() {
    alone(Sdk::Python2, Over::Http);
}

#[test]
fn typescript_over_websocket() {
    alone(Sdk::TypeScript, Over::WebSocket);
}

/// A server that opens its own port, built with an SDK, as exai hosts it: with a URL and without stdio.
fn over_its_own_port(command: &Value, args: &[String], env: &Value, port: u16) -> Instance {
    let instance = Instance::new(&format!(
        "[servers.own]\ncommand = {command}\nargs = {}\nenv = {}\nurl = \"http://127.0.0.1:{port}/mcp\"\n",
        json!(args),
        inline(env),
    ));
    instance.ends(0, &["start"]);
    instance
}

/// Checks progress during a call, two clients at once, a restart, and that no process is left in the end.
fn serves_at_its_port(
    instance: &Instance,
    (tool, arguments, expected): (&str, Value, &str),
    steps: (&str, Value),
) {
    let mut clients = [instance.client("own"), instance.client("own")];
    for client in &mut clients {
        hears_steps(client, (tool, &arguments, expected), &steps);
    }
    let ps = instance.json(&["ps", "--json"]);
    let processes = ps["processes"].as_array().expect("processes").clone();
    let own: Vec<&Value> = processes.iter().filter(|process| process["of"] == "own#1").collect();
    let server = own.iter().find(|process| process["role"] == "server").unwrap_or_else(|| panic!("{own:#?}"));
    assert!(server["evidence"][0].as_str().is_some_and(|text| text.starts_with("owns the LISTEN socket")));
    instance.ends(0, &["restart", "own"]);
    assert_eq!(clients[0].call(tool, &arguments), expected);
    instance.ends(0, &["stop"]);
    let alive = |pid: &Value| {
        let pid = pid.as_u64().expect("a pid") as u32;
        exai_os::process::identify(pid).expect("the process table").is_some()
    };
    assert!(own.iter().all(|process| !alive(&process["pid"])), "{own:#?}");
}

fn python_at_its_own_port(sdk: Sdk) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = sdk.server("python", dir.path());
    let port = free_port();
    let mut args: Vec<String> = serde_json::from_value(config["args"].clone()).expect("arguments");
    args.extend(["--http".to_owned(), port.to_string()]);
    let instance = over_its_own_port(&config["command"], &args, &config["env"], port);
    serves_at_its_port(&instance, ("add", json!({"a": 1, "b": 2}), "3.0"), ("count", json!({"to": 3})));
}

#[test]
fn python_1_at_its_own_port() {
    python_at_its_own_port(Sdk::Python1);
}

#[test]
fn python_2_at_its_own_port() {
    python_at_its_own_port(Sdk::Python2);
}

#[test]
fn typescript_at_its_own_port() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Sdk::TypeScript.server("everything", dir.path());
    let port = free_port();
    let mut args: Vec<String> = serde_json::from_value(config["args"].clone()).expect("arguments");
    args.retain(|argument| argument != "stdio");
    args.push("streamableHttp".to_owned());
    let mut env = config["env"].clone();
    env["PORT"] = json!(port.to_string());
    let instance = over_its_own_port(&config["command"], &args, &env, port);
    let steps = ("trigger-long-running-operation", json!({"duration": 0.3, "steps": 3}));
    serves_at_its_port(&instance, ("echo", json!({"message": "hello"}), "Echo: hello"), steps);
}

/// A client calls a tool, and then another one that tells of three steps.
#[track_caller]
fn hears_steps(
    client: &mut Client,
    (tool, arguments, expected): (&str, &Value, &str),
    steps: &(&str, Value),
) {
    assert_eq!(client.call(tool, arguments), expected);
    let params = json!({"name": steps.0, "arguments": steps.1, "_meta": {"progressToken": "p"}});
    let id = client.request("tools/call", &params);
    let mut seen = 0;
    loop {
        let message = client.receive();
        if message["id"] == id && message["method"].is_null() {
            assert!(message["result"]["content"].is_array(), "{message}");
            break;
        }
        seen += u32::from(message["params"]["progressToken"] == "p");
    }
    assert_eq!(seen, 3);
}
