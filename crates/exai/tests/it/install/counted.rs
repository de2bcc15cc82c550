//! What `exai install` says that the client will see.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Home;
use crate::support::{Instance, fixture};

/// The number in "will see N tools".
#[track_caller]
fn count_seen(said: &str) -> usize {
    let (_, rest) = said.split_once("will see ").unwrap_or_else(|| panic!("{said}"));
    rest.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn the_tools_of_all_entries_count() {
    let home = Home::of(Instance::new(&(fixture("fix", &[]) + &fixture("two", &[]))));
    home.instance.know(&["fix", "two"]);
    let listed = home.exai(&["tools", "--json"]).stdout;
    let document: Value = serde_json::from_slice(&listed).expect("JSON");
    let tools = document["tools"].as_array().expect("tools");
    let own = tools.iter().filter(|tool| tool["server"] != "exai").count();
    let is_lost = |said: &str| said.contains("1 server was not ready, and not counted: lost");
    assert_eq!(count_seen(&home.ends(0, &["install", "cursor", "--yes"])), tools.len());
    assert_eq!(count_seen(&home.ends(0, &["install", "cursor", "--each", "--yes"])), own);
    // Also where one of them does not start.
    home.instance.ends(0, &["add", "lost", "--no-check", "--", "no-such-program"]);
    let said = home.ends(0, &["install", "cursor", "--each", "--yes"]);
    assert_eq!((count_seen(&said), is_lost(&said)), (own, true), "{said}");
    let said = home.ends(0, &["install", "cursor", "--yes"]);
    assert_eq!((count_seen(&said), is_lost(&said)), (tools.len(), true), "{said}");
}

#[test]
fn a_server_that_starts_for_the_first_time_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let may_start = dir.path().join("may start");
    let slow = fixture("slow", &["--start-after", &may_start.to_string_lossy()]);
    let home = Home::of(Instance::new(&(fixture("fix", &[]) + &slow)));
    let mut command = home.command(&["install", "cursor", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("exai is in")));
    // Longer than a list waits for a server.
    thread::sleep(Duration::from_secs(2));
    fs::write(&may_start, "").expect("a file");
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().expect("it ends").success());
    let again = home.ends(0, &["install", "cursor", "--yes"]);
    assert_eq!(count_seen(&rest.join("\n")), count_seen(&again));
}

#[test]
fn an_entry_that_is_switched_off_in_the_client_shows_nothing() {
    let home = Home::new();
    let toml = "[mcp_servers.exai]\ncommand = \"exai\"\nargs = [\"shim\"]\nenabled = false\n";
    let path = home.write(".codex/config.toml", toml);
    let said = home.ends(0, &["install", "codex", "--yes"]);
    assert!(said.contains("the entry `exai`: it is switched off in"), "{said}");
    assert!(said.contains("`enabled = true`") && !said.contains("will see"), "{said}");
    assert!(fs::read_to_string(&path).expect("the file").contains("enabled = false"));
    let said = home.ends(0, &["install", "codex", "--yes"]);
    assert!(said.contains("switched off in") && !said.contains("will see"), "{said}");
}
