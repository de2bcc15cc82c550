//! `exai add` with a name of the registry, or a `server.json`. A program of the test answers as the registry.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread;

use serde_json::{Value, json};

use super::{add, config};
use crate::support::{Instance, LIMIT, text};

/// A registry on this machine, or whatever answers in its place.
pub(super) struct Registry {
    pub(super) address: String,
}

impl Registry {
    /// `answer` gets the path of each request and returns the whole answer.
    pub(super) fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        Registry::at(0, answer)
    }

    /// The same at this port, or at any free port for 0.
    pub(super) fn at(port: u16, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that closes early is its own business.
                let _ = answer_one(stream, &answer);
            }
        });
        Registry { address }
    }

    /// A registry that gives this document for each server.
    fn with(document: Value) -> Self {
        Registry::new(move |_| ok(&document.to_string()))
    }

    pub(super) fn add(&self, instance: &Instance, args: &[&str]) -> Output {
        let mut command = instance.command(&[&["add"], args].concat());
        command.env("EXAI_REGISTRY", &self.address);
        command.output().expect("exai runs")
    }
}

fn answer_one(mut stream: TcpStream, answer: &dyn Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.extend(byte);
    }
    let request = text(&request);
    stream.write_all(&answer(request.split(' ').nth(1).unwrap_or_default()))
}

pub(super) fn ok(body: &str) -> Vec<u8> {
    response("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

pub(super) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The answer of the public registry for a server, with what it says about itself.
fn wrapped(server: Value, status: &str) -> Value {
    json!({
        "server": server,
        "_meta": {"io.modelcontextprotocol.registry/official": {
            "status": status, "publishedAt": "2025-09-22T08:04:21.154107Z", "isLatest": true,
        }},
    })
}

/// As the registry has it: docs/reference/server-json/generic-server-json.md of modelcontextprotocol/registry.
fn brave(status: &str) -> Value {
    let server = json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "io.modelcontextprotocol.anonymous/brave-search",
        "description": "MCP server for Brave Search API integration",
        "version": "1.0.2",
        "packages": [{
            "registryType": "npm",
            "identifier": "@modelcontextprotocol/server-brave-search",
            "version": "1.0.2",
            "transport": {"type": "stdio"},
            "environmentVariables": [
                {"name": "BRAVE_API_KEY", "description": "Brave Search API Key", "isRequired": true, "isSecret": true},
            ],
        }],
    });
    wrapped(server, status)
}

const BRAVE: &str = "io.modelcontextprotocol.anonymous/brave-search";

#[test]
fn a_server_of_the_registry_is_shown_and_added_only_with_consent() {
    let instance = Instance::new("");
    let registry = Registry::new(|path| {
        assert_eq!(path, "/v0.1/servers/io.modelcontextprotocol.anonymous%2Fbrave-search/versions/1.0.2");
        ok(&brave("active").to_string())
    });
    let name = format!("{BRAVE}@1.0.2");
    let unseen = registry.add(&instance, &["--no-check", &name]);
    let (said, warned) = (text(&unseen.stdout), text(&unseen.stderr));
    assert_eq!(unseen.status.code(), Some(2), "{said}{warned}");
    for expected in [
        "io.modelcontextprotocol.anonymous/brave-search 1.0.2",
        "Brave Search API integration",
        "npx -y @modelcontextprotocol/server-brave-search@1.0.2",
        "BRAVE_API_KEY (needed, a secret)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(warned.contains("`--yes`") && !config(&instance).contains("brave"), "{warned}");

    let open = registry.add(&instance, &["--no-check", "--yes", &name]);
    assert_eq!(open.status.code(), Some(1));
    assert!(text(&open.stderr).contains("--set BRAVE_API_KEY=VALUE"), "{}", text(&open.stderr));

    let wrong = registry.add(&instance, &["--no-check", "--yes", "--set", "KEY=x", &name]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("this asks for: BRAVE_API_KEY"), "{}", text(&wrong.stderr));

    let added = registry.add(&instance, &["--no-check", "--yes", "--set", "BRAVE_API_KEY=h1dden", &name]);
    let said = text(&added.stdout) + &text(&added.stderr);
    assert_eq!(added.status.code(), Some(0), "{said}");
    assert!(
        said.contains("BRAVE_API_KEY=${secret:brave-search.BRAVE_API_KEY}") && !said.contains("h1dden"),
        "{said}"
    );
    let written = config(&instance);
    assert!(written.contains("[servers.brave-search]") && !written.contains("h1dden"), "{written}");
    let kept = std::fs::read_to_string(instance.home().join("secrets.toml")).expect("the secret is kept");
    assert!(kept.contains("\"brave-search.BRAVE_API_KEY\" = \"h1dden\""), "{kept}");
}

#[test]
fn the_first_package_that_works_here_is_taken_and_that_is_said() {
    let instance = Instance::new("");
    let server = json!({
        "name": "io.github.x/many", "version": "2.0.0",
        "packages": [
            {"registryType": "cargo", "identifier": "many", "version": "2.0.0"},
            {"registryType": "oci", "identifier": "x/many", "version": "2.0.0", "transport": {"type": "stdio"}},
            {"registryType": "npm", "identifier": "many-mcp", "version": "2.0.0", "transport": {"type": "stdio"},
             "packageArguments": [{"type": "named", "name": "--root", "value": "{dir}", "isRequired": true,
                "variables": {"dir": {"format": "filepath", "isRequired": true}}}]},
        ],
        "remotes": [{"type": "streamable-http", "url": "https://many.example.com/mcp"}],
    });
    let registry = Registry::with(wrapped(server, "active"));
    // Only npx is on the PATH of this terminal.
    let programs = instance.dir().join("programs");
    std::fs::create_dir(&programs).expect("a directory");
    let npx = programs.join(format!("npx{}", std::env::consts::EXE_SUFFIX));
    std::fs::copy(super::fixture(), npx).expect("a program");
    let mut command =
        instance.command(&["add", "--no-check", "--yes", "--set", "dir=notes", "io.github.x/many"]);
    command.env("EXAI_REGISTRY", &registry.address).env("PATH", &programs).current_dir(instance.dir());
    let output = command.output().expect("exai runs");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("3 ways to have this server; exai takes the first that works here: npx"), "{said}");
    assert!(said.contains("left out") && said.contains("the kind of package is not known"), "{said}");
    let written = config(&instance);
    let notes = json!(instance.dir().canonicalize().unwrap().join("notes"));
    assert!(written.contains("command = \"npx\"") && written.contains("many-mcp@2.0.0"), "{written}");
    assert!(
        cfg!(windows) || written.contains(&notes.to_string()),
        "an answer is relative to this terminal: {written}"
    );
}

#[test]
fn a_registry_that_lies_or_does_not_answer_adds_nothing() {
    let instance = Instance::new("");
    let page = "<!DOCTYPE html><title>Sign in to the network</title>";
    let mut other = brave("active");
    other["server"]["name"] = json!("io.github.evil/other");
    let mut reference = brave("active");
    reference["server"]["packages"][0]["environmentVariables"][0] =
        json!({"name": "X", "value": "${secret:mine}"});
    let elsewhere = "Location: https://other.example.com/\r\n";
    for (answer, expected) in [
        (
            response("404 Not Found", "", b"{}"),
            "has no server `io.modelcontextprotocol.anonymous/brave-search`",
        ),
        (response("500 Oops", "", b""), "answered with the HTTP status 500"),
        (ok(page), "gave an answer that is not taken: line 1"),
        (ok("{}"), "has no `name`"),
        (ok(&other.to_string()), "answered with another server"),
        (ok(&brave("deleted").to_string()), "was deleted from the registry"),
        (ok(&reference.to_string()), "refers to a variable"),
        (ok(&" ".repeat(1024 * 1024 + 1)), "has more than 1024 KiB to say"),
        (response("302 Found", elsewhere, b""), "leads to another place, and that is not followed"),
        (response("302 Found", "Location: /again\r\n", b""), "leads to another place more than 5 times"),
        (response("302 Found", "", b""), "leads to another place, and that is not followed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), "cannot be reached"),
        (Vec::new(), "cannot be reached"),
    ] {
        let registry = Registry::new(move |_| answer.clone());
        let output = registry.add(&instance, &["--no-check", "--yes", BRAVE]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{expected}: {said}");
        assert!(said.contains(expected) && said.contains("nothing was added"), "{expected}: {said}");
    }
    let nobody = Registry { address: format!("http://127.0.0.1:{}", exai_test::free_port()) };
    let said = text(&nobody.add(&instance, &["--yes", BRAVE]).stderr);
    assert!(said.contains("cannot be reached") && said.contains("no registry"), "{said}");
    for address in ["http://servers.example.com", "ftp://x", "nonsense"] {
        let registry = Registry { address: address.to_owned() };
        let output = registry.add(&instance, &["--yes", BRAVE]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(text(&output.stderr).contains("EXAI_REGISTRY is"), "{}", text(&output.stderr));
    }
    assert!(!config(&instance).contains("servers"), "nothing was added");
}

#[test]
fn a_redirect_within_the_registry_is_followed_and_a_deprecated_server_is_named() {
    let instance = Instance::new("");
    let registry = Registry::new(|path| {
        if path.starts_with("/v0.1/") {
            return response("301 Moved", "Location: /moved\r\n", b"");
        }
        ok(&brave("deprecated").to_string())
    });
    let output = registry.add(&instance, &["--no-check", "--yes", "--set", "BRAVE_API_KEY=x", BRAVE]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("should no longer be used"), "{said}");
}

#[test]
fn a_server_json_is_read_in_its_present_and_its_older_form() {
    let instance = Instance::new("");
    let new = brave("active")["server"].clone();
    // From the same document, before 2025-09-16.
    let old = json!({
        "name": "io.github.modelcontextprotocol/filesystem",
        "status": "active",
        "version_detail": {"version": "1.0.2"},
        "packages": [{
            "registry_type": "npm",
            "identifier": "@modelcontextprotocol/server-filesystem",
            "version": "1.0.2",
            "package_arguments": [{"type": "positional", "value_hint": "target_dir", "description": "Path to access",
                "is_required": true, "is_repeated": true}],
            "environment_variables": [{"name": "LOG_LEVEL", "default": "info"}],
        }],
    });
    let file = instance.dir().join("server.json");
    std::fs::write(&file, new.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    let output = add(&instance, &["--no-check", "--yes", "--set", "BRAVE_API_KEY=x", file], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let several = ["--set", "target_dir=/a", "--set", "target_dir=/b", "-"];
    let output = add(&instance, &[&["--no-check", "--yes"][..], &several].concat(), &old.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = config(&instance);
    for expected in [
        "args = [\"-y\", \"@modelcontextprotocol/server-brave-search@1.0.2\"]",
        "args = [\"-y\", \"@modelcontextprotocol/server-filesystem@1.0.2\", \"/a\", \"/b\"]",
        "env = { LOG_LEVEL = \"info\" }",
    ] {
        assert!(written.contains(expected), "{expected}: {written}");
    }
    std::fs::write(file, "{\"name\": \"a.b/c\", \"packages\": []}").expect("a file");
    let empty = add(&instance, &["--yes", file], "");
    assert!(text(&empty.stderr).contains("no packages and no remotes"), "{}", text(&empty.stderr));
    for missing in ["gone.json", "a.b/c.json", "gone.mcpb"] {
        let output = add(&instance, &[missing], "");
        assert!(text(&output.stderr).contains(&format!("there is no file {missing}")), "{missing}");
    }
}
