//! What `exai clients` says.

use std::fs;

use serde_json::{Value, json};

use super::Home;
use crate::support::text;

#[test]
fn clients_says_who_is_here_and_who_uses_exai() {
    let home = Home::new();
    home.write(".cursor/mcp.json", b"{}");
    home.write(".codex/config.toml", b"broken = ");
    home.ends(0, &["install", "cursor", "--yes"]);
    let document: Value = serde_json::from_str(&home.ends(0, &["clients", "--json"])).expect("JSON");
    let all = document["clients"].as_array().expect("clients");
    let find = |id: &str| all.iter().find(|one| one["id"] == id).expect("it is known");
    assert_eq!((&find("cursor")["found"], &find("cursor")["configured"]), (&json!(true), &json!(true)));
    assert_eq!(find("amp")["found"], json!(false));
    assert!(find("codex")["problem"].as_str().expect("a problem").contains("line 1"));
    let said = home.ends(0, &["clients"]);
    // The trial of `exai install` is no connection of the client.
    assert!(said.contains("configured, never connected") && said.contains("exai also knows"), "{said}");
}

#[test]
fn clients_says_when_each_client_was_connected_last() {
    let home = Home::new();
    home.write(".cursor/mcp.json", b"{}");
    home.ends(0, &["install", "cursor", "--yes"]);
    let find = || {
        let document: Value = serde_json::from_str(&home.ends(0, &["clients", "--json"])).expect("JSON");
        let all = document["clients"].as_array().expect("clients");
        all.iter().find(|one| one["id"] == "cursor").expect("it is known").clone()
    };
    assert_eq!(find()["last_connected"], Value::Null);
    let mut client = home.instance.shim(&["--client", "cursor"]);
    client.initialize(&json!({}));
    assert_eq!(find()["connected"], 1);
    assert!(home.ends(0, &["clients"]).contains("connected (1)"));
    client.finish();
    // The next daemon knows it, and so does the command while no daemon runs.
    home.instance.ends(0, &["stop"]);
    let last = find()["last_connected"].clone();
    assert_eq!((&last["name"], &last["version"]), (&json!("test"), &json!("1")));
    let said = home.ends(0, &["clients"]);
    assert!(said.contains("configured, last connected ") && said.contains(" s ago"), "{said}");
    let file = home.instance.home().join("clients.json");
    assert_eq!(text(&fs::read(&file).expect("the file")).matches("\"at\"").count(), 1);
    fs::write(&file, "{}").expect("it is written");
    assert!(home.ends(0, &["clients"]).contains("configured, never connected"));
}

#[test]
fn clients_names_an_entry_whose_program_is_gone() {
    let home = Home::new();
    let entry = json!({"command": home.path.join("gone").join("exai"), "args": ["shim"]});
    home.write(".cursor/mcp.json", json!({"mcpServers": {"exai": entry}}).to_string());
    let said = home.ends(0, &["clients"]);
    assert!(said.contains("there is no program") && said.contains("`exai install cursor`"), "{said}");
    home.ends(0, &["install", "cursor", "--yes"]);
    let said = home.ends(0, &["clients"]);
    assert!(said.contains("configured, never connected") && !said.contains("no program"), "{said}");
}

#[test]
fn every_file_of_a_client_that_reads_several_counts() {
    let home = Home::new();
    let path = home.write(".config/opencode/opencode.json", "{}");
    home.ends(0, &["install", "opencode", "--yes"]);
    home.write(".config/opencode/opencode.jsonc", "{}");
    // Also where exai does not know that it has written the entry.
    fs::remove_file(home.instance.home().join("installs.json")).expect("the record");
    let document: Value = serde_json::from_str(&home.ends(0, &["clients", "--json"])).expect("JSON");
    let all = document["clients"].as_array().expect("clients");
    let found = all.iter().find(|one| one["id"] == "opencode").expect("it is known");
    assert_eq!(found["configured"], true);
    assert!(found["files"].as_array().expect("files").contains(&json!(path)), "{found}");
    let said = home.ends(0, &["uninstall", "opencode"]);
    assert!(said.contains("exai is out of"), "{said}");
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    assert_eq!(document["mcp"].get("exai"), None);
}
