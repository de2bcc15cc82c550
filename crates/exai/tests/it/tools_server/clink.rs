//! `clink`: the command lines of other agents, played by scripts.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::scene::{call, tools};
use crate::support::Instance;

/// An instance whose tools server finds these programs, each a script for `sh`.
fn with_agents(agents: &[(&str, &str)]) -> Instance {
    let instance = Instance::new("");
    let bin = instance.dir().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    for (name, script) in agents {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    }
    let path = format!("PATH = {}, EXAI_HOME", json!(format!("{}:/usr/bin:/bin", bin.display())));
    let row = tools(&instance.home()).replace("EXAI_HOME", &path);
    instance.configure(&(row + "[ai]\nextra_tools = [\"clink\"]\n"));
    instance
}

fn ask(instance: &Instance, agent: &str) -> Value {
    call(&mut instance.client("ai"), "clink", &json!({"prompt": "why so slow", "cli_name": agent}))
}

#[test]
fn an_agent_is_kept_from_writing_and_from_calling_exai() {
    let claude = r#"printf '{"result": "%s | %s | %s"}' "$*" "$(cat)" "$(pwd)""#;
    let gemini = r#"printf '{"response": "%s | %s"}' "$*" "$(cat)""#;
    let instance = with_agents(&[("claude", claude), ("gemini", gemini)]);
    let said = ask(&instance, "claude");
    let said = said["content"].as_str().expect("an answer");
    for part in ["--strict-mcp-config", "--tools Read,Grep,Glob", "| why so slow |"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = ask(&instance, "gemini");
    let said = said["content"].as_str().expect("an answer");
    for part in ["--allowed-mcp-server-names none", "--approval-mode default", "| why so slow"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_agent_that_does_not_trust_the_directory_says_so_and_the_hint_helps() {
    let instance =
        with_agents(&[("gemini", "echo \"not running in a trusted directory$NO_COLOR\" >&2; exit 55")]);
    let failed = ask(&instance, "gemini");
    let error = &failed["error"];
    assert_eq!(error["code"], "agent_failed", "{failed}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("trusted directory1")), "{failed}");
    assert!(error["hint"].as_str().is_some_and(|text| text.contains("trust in the directory")), "{failed}");
}
