//! Real launchers: the process that exai calls the server is the one that the server itself says it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use exai_test::{eventually, peers};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// Who is expected between the guard and the server, by kind.
struct Case {
    name: &'static str,
    command: PathBuf,
    args: Vec<String>,
    launchers: &'static [&'static str],
}

fn cases(dir: &Path) -> Vec<Case> {
    let server = dir.join("pid-server");
    let script = server.join("src/pid_server/__init__.py");
    let (script, server) = (text(&script), text(&server));
    let venv = peers::python();
    let tool = |name: &str| venv.with_file_name(name);
    let strings = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect();
    let case = |name, command: PathBuf, args: &[&str], launchers| Case {
        name,
        command,
        args: strings(args),
        launchers,
    };
    let in_a_shell = format!("'{}' '{script}'; true", text(&venv));
    let asynchronous = format!("exec 3<&0; '{}' '{script}' <&3 & wait", text(&venv));
    vec![
        case("npx", "npx".into(), &["--no", "--", "pid-server"], &["npx", "shell"]),
        case("node", "node".into(), &[&format!("{server}/index.js")], &[]),
        case("uvx", tool("uvx"), &["--offline", "--from", &server, "pid-server"], &["uvx"]),
        case("uv-run", tool("uv"), &["run", "--offline", "--no-project", &script], &["uv"]),
        case(
            "uv-run-project",
            tool("uv"),
            &["run", "--offline", "--project", &server, "pid-server"],
            &["uv"],
        ),
        case("venv", venv.clone(), &[&script], &[]),
        case("shell", "sh".into(), &["-c", &in_a_shell], &["shell"]),
        case("background", "sh".into(), &["-c", &asynchronous], &["shell"]),
        case("env", "env".into(), &["A=1", "nice", &text(&venv), &script], &[]),
    ]
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// A copy of the server, and `npx` can find it.
fn lay_out(dir: &Path) {
    let source = peers::folder().join("pid-server");
    let copy = Command::new("cp").arg("-R").arg(&source).arg(dir).status();
    assert!(copy.expect("cp runs").success());
    let bin = dir.join("node_modules/.bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    std::fs::write(dir.join("package.json"), r#"{"name":"x","version":"1.0.0"}"#).expect("a file");
    std::os::unix::fs::symlink(dir.join("pid-server/index.js"), bin.join("pid-server")).expect("a link");
}

#[test]
fn the_server_is_the_process_that_says_so_behind_every_launcher() {
    let instance = Instance::new("");
    let dir = instance.dir().join("work");
    std::fs::create_dir(&dir).expect("a directory");
    lay_out(&dir);
    let cases = cases(&dir);
    let servers = cases.iter().map(|case| {
        let (command, args) = (json!(case.command), json!(case.args));
        format!("[servers.{}]\ncommand = {command}\nargs = {args}\ncwd = {}\n", case.name, json!(dir))
    });
    instance.configure(&servers.collect::<String>());
    for case in &cases {
        let said: u32 = instance.client(case.name).call("pid", &json!({})).parse().expect("a pid");
        let id = format!("{}#1", case.name);
        let mut ps = Value::Null;
        eventually(&format!("{} is confirmed", case.name), LIMIT, || {
            ps = instance.json(&["ps", "--json"]);
            of(&ps, &id).iter().any(|one| one["role"] == "server" && one["confirmed"] == json!(true))
        });
        let tree = of(&ps, &id);
        let server = tree.iter().find(|one| one["role"] == "server").expect("a server");
        assert_eq!(server["pid"], json!(said), "{}: {tree:#?}", case.name);
        let kinds: Vec<&str> = tree
            .iter()
            .filter(|one| one["role"] == "launcher")
            .map(|one| one["kind"].as_str().unwrap_or("?"))
            .collect();
        assert_eq!(kinds, case.launchers, "{}: {tree:#?}", case.name);
        assert_eq!(tree.len(), 2 + kinds.len(), "guard, launchers, server and nobody else: {tree:#?}");
        let status = instance.status();
        let servers = status["servers"].as_array().expect("servers");
        let listed = servers.iter().find(|one| one["name"] == case.name).expect("it is listed");
        assert_eq!(listed["instances"][0]["pid"], json!(said));
        let explanations = ps["explanations"].as_array().expect("explanations");
        let explained = explanations.iter().find(|one| one["of"] == json!(id));
        eprintln!(
            "{id}: {}",
            explained.map_or("one process", |one| one["text"].as_str().unwrap_or_default())
        );
    }
    let ps = instance.json(&["ps", "--json"]);
    assert_eq!((&ps["expected"], &ps["unexpected"]), (&ps["actual"], &json!([])), "{ps}");
}

fn of<'a>(ps: &'a Value, id: &str) -> Vec<&'a Value> {
    let all = ps["processes"].as_array().into_iter().flatten();
    all.filter(|one| one["of"] == json!(id)).collect()
}
