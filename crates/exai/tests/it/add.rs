//! `exai add`: what people have, tried at once.

mod bundles;
mod inputs;
mod readmes;
mod registry;
#[cfg(unix)]
mod terminal;
mod tools;

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Instance, text};

fn fixture() -> String {
    exai_test::program("fixture-server").display().to_string()
}

/// `exai add` with this on stdin.
fn add(instance: &Instance, args: &[&str], input: &str) -> Output {
    let mut command = instance.command(&[&["add"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // A command line that is wrong ends before it reads.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn config(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("config.toml")).unwrap_or_default()
}

fn commands(instance: &Instance) -> Value {
    let listed = instance.json(&["list", "--json"]);
    let servers = listed["servers"].as_array().expect("servers").clone();
    servers
        .iter()
        .map(|server| (server["name"].as_str().expect("a name").to_owned(), server["command"].clone()))
        .collect()
}

#[test]
fn a_server_is_tried_and_its_tools_are_counted() {
    let instance = Instance::new("");
    let said = instance.ends(0, &["add", "plain", &fixture(), "--children", "1"]);
    assert!(said.starts_with("added plain: ") && said.contains(" tools"), "{said}");
    let output = instance.exai(&["add", "gone", "--", "no-such-program-anywhere"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "the server is added all the same");
    assert!(
        said.contains("added gone, but it does not start") && said.contains("no-such-program-anywhere"),
        "{said}"
    );
    assert!(said.contains("`exai remove gone`"), "{said}");
    let refused = "npm error npx canceled due to missing packages and no YES option: [\"x@1\"]";
    let output = instance.exai(&["add", "asks", "--", &fixture(), "--die-at-start", refused]);
    assert!(text(&output.stderr).contains("exai add asks --force -- npx -y"), "{}", text(&output.stderr));
    let said = instance.ends(0, &["add", "quick", "--no-check", "--", "no-such-program-anywhere"]);
    assert!(said.starts_with("added quick; it is live"), "{said}");
    assert_eq!(
        instance.exai(&["add", "exai", "--no-check", "--", "x"]).status.code(),
        Some(2),
        "that name is ours"
    );
    instance.ends(0, &["add", "exai", "--no-check", "--force", "--", "x"]);
}

#[cfg(unix)]
#[test]
fn a_program_that_is_another_one_in_this_terminal_is_named_with_both() {
    let instance = Instance::new("");
    let other = instance.dir().join("other");
    std::fs::create_dir(&other).expect("a directory");
    // The login shell finds the one of the system.
    std::os::unix::fs::symlink(fixture(), other.join("true")).expect("a link");
    let add = |command: &str| {
        let mut exai = instance.command(&["add", "one", "--force", "--", command]);
        let output =
            exai.env("PATH", format!("{}:/usr/bin:/bin", other.display())).output().expect("it runs");
        assert!(output.status.success());
        text(&output.stdout) + &text(&output.stderr)
    };
    let said = add("true");
    let here = other.join("true").display().to_string();
    assert!(
        said.contains("/true for the server, as your login shell finds it") && said.contains(&here),
        "{said}"
    );
    let said = add(&here);
    assert!(said.contains(" tools") && !said.contains("login shell"), "{said}");
}

#[test]
fn a_pasted_block_is_added_whole_and_what_cannot_be_is_named() {
    let instance = Instance::new("");
    let block = json!({"mcpServers": {
        "my server.two": {"command": fixture(), "args": ["--name", "two"]},
        "remote": {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer h1dden"}},
        "broken": {"args": ["no command"]},
    }});
    let fenced = format!("```json\n{block:#}\n```\n");
    let output = add(&instance, &["-"], &fenced);
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{warned}");
    assert!(
        said.contains("tools") && warned.contains("is called") && warned.contains("`broken` is left out"),
        "{said}{warned}"
    );
    assert!(!config(&instance).contains("h1dden"), "{}", config(&instance));
    let kept = std::fs::read_to_string(instance.home().join("secrets.toml")).expect("the secret is kept");
    assert!(kept.contains("\"Bearer h1dden\""), "{kept}");
    let again = add(&instance, &["-"], &fenced);
    assert!(text(&again.stderr).contains("there is a server `remote` already"), "{}", text(&again.stderr));
    let bad = add(&instance, &["-"], "{\"mcpServers\": {\n  \"a\": {\"command\": }\n}}");
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("line 2"), "{}", text(&bad.stderr));
    let bare = add(&instance, &["bare", "-", "--no-check"], &json!({"command": fixture()}).to_string());
    assert_eq!(bare.status.code(), Some(2), "what stands behind `-` belongs to nothing");
    let bare = add(&instance, &["--no-check", "bare", "-"], &json!({"command": fixture()}).to_string());
    assert_eq!(bare.status.code(), Some(0), "{}", text(&bare.stderr));
    assert_eq!(commands(&instance)["bare"], json!(fixture()));
}

#[test]
fn paths_mean_what_they_mean_where_they_are_written() {
    let instance = Instance::new("");
    let project = instance.dir().join("project");
    std::fs::create_dir_all(project.join(".vscode")).expect("a directory");
    std::fs::write(project.join("vars.env"), "# more\nexport COLOUR=\"blue\"\nPLAIN=x\n").expect("a file");
    let block = json!({"servers": {"here": {"command": fixture(), "args": ["./data", "--x=./y"], "cwd": "sub", "envFile": "vars.env"}}});
    let file = project.join(".vscode/mcp.json");
    std::fs::write(&file, block.to_string()).expect("a file");
    let said = text(&add(&instance, &["--no-check", file.to_str().expect("a path")], "").stderr);
    let written = config(&instance);
    let inside = |name: &str| project.join(name).display().to_string();
    for expected in
        [inside("data"), inside("sub"), "--x=./y".into(), "COLOUR = \"blue\"".into(), "PLAIN = \"x\"".into()]
    {
        // A path of Windows is written with its backslashes doubled, or in single quotes.
        let doubled = expected.replace('\\', "\\\\");
        assert!(written.contains(&expected) || written.contains(&doubled), "{expected}: {written}\n{said}");
    }
}

#[test]
fn the_link_of_a_button_is_read() {
    let instance = Instance::new("");
    // {"command":"npx","args":["-y","@modelcontextprotocol/server-everything"]}
    let link = "cursor://anysphere.cursor-deeplink/mcp/install?name=everything&config=eyJjb21tYW5kIjoibnB4IiwiYXJncyI6WyIteSIsIkBtb2RlbGNvbnRleHRwcm90b2NvbC9zZXJ2ZXItZXZlcnl0aGluZyJdfQ==";
    instance.ends(0, &["add", "--no-check", link]);
    assert_eq!(commands(&instance)["everything"], "npx");
    let bad = instance.exai(&[
        "add",
        "--no-check",
        "cursor://anysphere.cursor-deeplink/mcp/install?name=x&config=%%%",
    ]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("nothing was added"), "{}", text(&bad.stderr));
}

#[test]
fn a_value_that_looks_like_a_secret_is_kept_elsewhere() {
    let instance = Instance::new("");
    let output =
        instance.exai(&["add", "gh", "-e", "GITHUB_TOKEN=h1dden", "-e", "MODE=fast", "--", &fixture()]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("secrets.toml as gh.GITHUB_TOKEN") && !said.contains("h1dden"), "{said}");
    assert!(config(&instance).contains("${secret:gh.GITHUB_TOKEN}") && config(&instance).contains("fast"));
    let mut client = instance.client("gh");
    assert_eq!(client.call("env", &json!({"name": "GITHUB_TOKEN"})), "h1dden", "the server gets it");
}

#[test]
fn what_makes_no_sense_is_refused_with_a_way_on() {
    let instance = Instance::new("");
    for (args, code, expected) in [
        (&["lonely"][..], 2, "needs a command or a URL"),
        (&["a", "-H", "X=y", "--", "x"], 2, "belongs to a server with a URL"),
        (&["a", "--cwd", "/", "https://mcp.example.com/mcp"], 2, "belong to a server with a command"),
        (&["a", "--timeout", "0", "--", "x"], 2, "--timeout"),
        (&["a", "--env-file", "missing.env", "--", "x"], 1, "missing.env"),
        (&["a b", "--", "x"], 2, "`a b`"),
    ] {
        let output = instance.exai(&[&["add", "--no-check"], args].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    assert!(!config(&instance).contains("servers"), "nothing was added");
}
