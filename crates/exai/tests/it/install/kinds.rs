//! One entry for all servers, or one for each: the one kind replaces the other.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Home;
use crate::support::text;

/// The names of the servers in a file of Cursor.
fn names(path: &Path) -> Vec<String> {
    let document: Value = serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON");
    document["mcpServers"].as_object().expect("servers").keys().cloned().collect()
}

/// Lets exai forget the bytes that it has written, so that it must take its entries out one by one.
fn forget_bytes(home: &Home) {
    let record = home.instance.home().join("installs.json");
    let forgotten =
        text(&fs::read(&record).expect("the record")).replace("\"written\": \"", "\"written\": \"x");
    fs::write(&record, forgotten).expect("it is written");
}

#[test]
fn with_each_every_server_has_an_entry_of_its_own() {
    let home = Home::new();
    home.instance.ends(0, &["add", "two", "--no-check", "--", "x"]);
    let before = b"{\"mcpServers\": {\"mine\": {\"command\": \"m\"}}}";
    let path = home.write(".cursor/mcp.json", before);
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let servers = document["mcpServers"].as_object().expect("servers");
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["fix", "mine", "two"]);
    assert_eq!(servers["two"]["args"], json!(["shim", "--client", "cursor", "--server", "two"]));
    home.ends(0, &["uninstall", "cursor"]);
    assert_eq!(fs::read(&path).expect("the file"), before);
}

#[test]
fn the_one_kind_of_entries_replaces_the_other() {
    let home = Home::new();
    home.instance.ends(0, &["add", "two", "--no-check", "--", "x"]);
    for before in ["{}\n", "{\n  \"mcpServers\": {\n    \"mine\": {\"command\": \"m\"}\n  }\n}\n"] {
        let path = home.write(".cursor/mcp.json", before);
        let all = |mut ours: Vec<&'static str>| {
            ours.extend(before.contains("mine").then_some("mine"));
            ours.sort_unstable();
            ours
        };
        home.ends(0, &["install", "cursor", "--yes"]);
        home.ends(0, &["install", "cursor", "--each", "--yes"]);
        assert_eq!(names(&path), all(vec!["fix", "two"]));
        home.ends(0, &["install", "cursor", "--yes"]);
        assert_eq!(names(&path), all(vec!["exai"]));
        assert!(home.ends(0, &["uninstall", "cursor"]).contains("is what it was"));
        assert_eq!(text(&fs::read(&path).expect("the file")), before);
        // Also where exai must take its entries out one by one.
        home.ends(0, &["install", "cursor", "--yes"]);
        home.ends(0, &["install", "cursor", "--each", "--yes"]);
        forget_bytes(&home);
        home.ends(0, &["uninstall", "cursor"]);
        assert_eq!(text(&fs::read(&path).expect("the file")), before);
    }
}

#[test]
fn the_entry_of_a_server_that_was_removed_goes_with_the_next_install() {
    let home = Home::new();
    home.instance.ends(0, &["add", "two", "--no-check", "--", "x"]);
    let before = "{\n}\n";
    let path = home.write(".cursor/mcp.json", before);
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    home.instance.ends(0, &["add", "zwei", "--no-check", "--", "x"]);
    // The first entry has made the map of the servers.
    home.instance.ends(0, &["remove", "fix"]);
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    assert_eq!(names(&path), ["two", "zwei"]);
    home.instance.ends(0, &["remove", "zwei"]);
    // Somebody has taken it out by hand: exai no longer misses it.
    let document = text(&fs::read(&path).expect("the file"));
    let (kept, _) = document.rsplit_once(",\n    \"zwei\"").expect("the last entry");
    fs::write(&path, format!("{kept}\n  }}\n}}\n")).expect("it is written");
    assert_eq!(names(&path), ["two"]);
    assert!(home.ends(0, &["install", "cursor", "--each", "--yes"]).contains("has the entry already"));
    let record = text(&fs::read(home.instance.home().join("installs.json")).expect("the record"));
    assert!(record.contains("\"two\"") && !record.contains("\"zwei\""), "{record}");
    forget_bytes(&home);
    home.ends(0, &["uninstall", "cursor"]);
    assert_eq!(text(&fs::read(&path).expect("the file")), before);
}
