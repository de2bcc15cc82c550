//! `exai secret`, and `${secret:NAME}` in the configuration.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Instance, text};

fn set(instance: &Instance, name: &str, value: &str) -> (Option<i32>, String, String) {
    let mut command = instance.command(&["secret", "set", name]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // A command that refuses the name ends before it reads.
    let _ = child.stdin.take().expect("a pipe").write_all(value.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_server_gets_the_secret_and_nothing_shows_it() {
    const VALUE: &str = "h1dden $value \"with\" everything";
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["remove", "fix"]);
    let fixture = exai_test::program("fixture-server").display().to_string();
    instance
        .ends(0, &["add", "fix", "--no-check", "--env", "API_TOKEN=Bearer ${secret:GITHUB}", "--", &fixture]);
    let listed = instance.json(&["secret", "list", "--json"]);
    assert_eq!(listed["secrets"], json!([{"name": "GITHUB", "kept": false, "used_by": ["fix"]}]));
    let mut client = instance.client("fix");
    let refused = client.ask("tools/call", &json!({"name": "env", "arguments": {"name": "API_TOKEN"}}));
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        said.contains("the secret GITHUB is not kept") && said.contains("exai secret set GITHUB"),
        "{said}"
    );

    let (code, said, _) = set(&instance, "GITHUB", &format!("{VALUE}\n"));
    assert_eq!(code, Some(0));
    assert!(said.contains("fix is given it from now on") && !said.contains("h1dden"), "{said}");
    assert_eq!(client.call("env", &json!({"name": "API_TOKEN"})), format!("Bearer {VALUE}"));
    set(&instance, "GITHUB", "another");
    assert_eq!(
        client.call("env", &json!({"name": "API_TOKEN"})),
        "Bearer another",
        "the server was started anew"
    );
    set(&instance, "GITHUB", VALUE);
    let listed = instance.json(&["secret", "list", "--json"]);
    assert_eq!(listed["secrets"], json!([{"name": "GITHUB", "kept": true, "used_by": ["fix"]}]));
    for shown in
        [&["list"][..], &["status"], &["status", "--json"], &["ps"], &["secret", "list"], &["doctor"]]
    {
        let output = instance.exai(shown);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("h1dden"), "{shown:?} shows the value: {said}");
    }
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(!log.contains("h1dden"));

    let removed = instance.exai(&["secret", "remove", "GITHUB"]);
    assert!(text(&removed.stderr).contains("fix uses it and does not work without it"));
    assert_eq!(instance.exai(&["secret", "remove", "GITHUB"]).status.code(), Some(1));
}

#[test]
fn what_is_no_name_or_no_value_is_refused_and_nothing_is_kept() {
    let instance = Instance::new("");
    for (name, value, code) in [("A B", "x", 2), ("A", "", 1), ("A", "\n", 1), ("", "x", 2)] {
        let (status, _, said) = set(&instance, name, value);
        assert_eq!(status, Some(code), "{name:?} {value:?}: {said}");
    }
    assert!(!instance.home().join("secrets.toml").exists());
    std::fs::create_dir_all(instance.home()).expect("a directory");
    set(&instance, "GOOD", "value");
    std::fs::write(instance.home().join("secrets.toml"), "GOOD = \"h1dden\"\nbroken").expect("it is written");
    let (status, _, said) = set(&instance, "MORE", "x");
    assert_eq!(status, Some(1));
    assert!(said.contains("secrets.toml, line 2") && !said.contains("h1dden"), "{said}");
}

#[test]
fn a_secret_of_a_provider_is_in_use() {
    let instance = Instance::new(
        "[providers.glm]\nbase_url = \"https://192.0.2.1/v4\"\nkey = \"${secret:GLM}\"\n\
         [servers.x]\ncommand = \"x\"\nenv = { A = \"${secret:GLM}\" }\n",
    );
    let (code, said, _) = set(&instance, "GLM", "h1dden");
    assert_eq!(code, Some(0));
    assert!(said.contains("x, provider glm is given it from now on"), "{said}");
    let listed = instance.json(&["secret", "list", "--json"]);
    assert_eq!(listed["secrets"][0]["used_by"], json!(["x", "provider glm"]));
    let removed = instance.exai(&["remove", "x", "--secrets"]);
    assert!(!text(&removed.stdout).contains("forgot"), "{removed:?}");
    assert_eq!(instance.json(&["secret", "list", "--json"])["secrets"][0]["kept"], true);
}
