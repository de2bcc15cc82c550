//! The files of clients: exai's entries in them, what has become of them, and whether the clients use them.

use std::env::consts::EXE_EXTENSION;
use std::fs;
use std::path::Path;

use exai_test::program;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::finds;
use crate::support::{Instance, fixture, text};
use crate::user_home::Home;

/// A home directory in which Cursor has exai.
fn with_cursor() -> (Home, std::path::PathBuf) {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    home.ends(0, &["install", "cursor", "--yes"]);
    (home, path)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON")
}

/// Changes a file of JSON.
fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = read(path);
    change(&mut document);
    fs::write(path, document.to_string()).expect("it is written");
}

/// Lets exai believe that it has written all entries this long ago.
fn installed_before(home: &Home, age: SignedDuration) {
    change(&home.instance.home().join("installs.json"), |document| {
        for install in document["installs"].as_array_mut().expect("installs") {
            install["at"] = json!((Timestamp::now() - age).to_string());
        }
    });
}

#[test]
fn without_clients_and_after_an_install_there_is_nothing_to_find() {
    let home = Home::new();
    finds(&home.instance, "client-files", "skip", &["no client is found"]);
    finds(&home.instance, "client-entry", "skip", &["exai install --all"]);
    let (home, _) = with_cursor();
    for check in ["client-files", "client-copies", "client-entry", "client-disabled", "client-program"] {
        finds(&home.instance, check, "pass", &[]);
    }
    for check in ["client-twice", "client-home", "client-connected", "client-tools"] {
        finds(&home.instance, check, "pass", &[]);
    }
}

#[test]
fn a_file_that_the_client_cannot_read_is_named_with_the_place() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{\n  \"mcpServers\": {,}\n}");
    finds(&home.instance, "client-files", "warn", &["Cursor", "mcp.json", "line 2, column 18", "correct"]);
    fs::write(&path, b"{\"mcpServers\": \xff}").expect("it is written");
    finds(&home.instance, "client-files", "warn", &["Cursor", "no text"]);
    fs::remove_file(&path).expect("it is removed");
    fs::create_dir(&path).expect("a directory");
    finds(&home.instance, "client-files", "warn", &["Cursor", "is no file"]);
    fs::remove_dir(&path).expect("it is removed");
    fs::write(&path, b"\xef\xbb\xbf{}").expect("it is written");
    finds(&home.instance, "client-files", "warn", &["begins with a byte order mark", "UTF-8 without"]);
    fs::write(&path, b"\xff\xfe{\0}\0").expect("it is written");
    finds(&home.instance, "client-files", "warn", &["is UTF-16"]);
    // With exai in it the file matters more.
    let (home, path) = with_cursor();
    fs::write(&path, b"{").expect("it is written");
    finds(&home.instance, "client-files", "fail", &["Cursor", "line 1"]);
    finds(&home.instance, "client-entry", "skip", &[]);
}

#[test]
fn an_entry_that_was_lost_or_changed_is_missed_until_it_is_forgotten() {
    let (home, path) = with_cursor();
    let written = read(&path);
    let lost = |words: &[&str]| finds(&home.instance, "client-entry", "fail", words);
    fs::write(&path, "{\"mcpServers\": {}}").expect("it is written");
    lost(&["Cursor: the entry `exai` in ", " is gone", "exai install cursor", "exai uninstall cursor"]);
    fs::write(&path, written.to_string()).expect("it is written");
    change(&path, |document| document["mcpServers"]["exai"]["command"] = json!("npx"));
    lost(&["starts something else now"]);
    fs::write(&path, written.to_string()).expect("it is written");
    change(&path, |document| document["mcpServers"]["exai"]["args"] = json!(["shim"]));
    lost(&["does not name its client"]);
    fs::write(&path, written.to_string()).expect("it is written");
    change(&path, |document| {
        document["mcpServers"]["exai"]["args"] = json!(["shim", "--client", "cursor", "-x"]);
    });
    finds(&home.instance, "client-entry", "pass", &["1 entry"]);
    fs::remove_file(&path).expect("it is removed");
    lost(&["mcp.json is gone"]);
    home.ends(0, &["uninstall", "cursor"]);
    finds(&home.instance, "client-entry", "skip", &[]);
    fs::write(home.instance.home().join("installs.json"), "{").expect("it is written");
    lost(&["installs.json", "move installs.json away"]);
}

#[test]
fn an_entry_that_is_switched_off_is_named() {
    let home = Home::new();
    let place = if cfg!(windows) { "AppData/Roaming/Zed/settings.json" } else { ".config/zed/settings.json" };
    let path = home.write(place, b"{}");
    home.ends(0, &["install", "zed", "--yes"]);
    change(&path, |document| document["context_servers"]["exai"]["enabled"] = json!(false));
    finds(&home.instance, "client-disabled", "warn", &["Zed", "switched off", "`enabled"]);
    // Nobody expects it to connect.
    installed_before(&home, SignedDuration::from_hours(48));
    finds(&home.instance, "client-connected", "skip", &[]);
}

#[test]
fn a_server_that_client_and_exai_both_start_is_named_until_exai_takes_it_over() {
    let home = Home::new();
    let command = program("fixture-server").display().to_string();
    let add = |name: &str, program: &str| {
        home.instance
            .ends(0, &["add", name, "--no-check", "--env", "API_KEY=s3cret", "--", program, "--name", "1"]);
    };
    add("kept", &command);
    // The client rightly starts itself what exai cannot start.
    add("fails", "no-such-program-at-all");
    let entry = |command: &str, key: &str| json!({"command": command, "args": ["--name", "1"], "env": {"API_KEY": key}});
    let servers = json!({"mine": entry(&command, "s3cret"), "other": entry(&command, "another"),
        "fails": entry("no-such-program-at-all", "s3cret")});
    home.write(".cursor/mcp.json", json!({"mcpServers": servers}).to_string());
    finds(&home.instance, "client-twice", "skip", &[]);
    home.ends(0, &["install", "cursor", "--yes"]);
    let fix = "exai import --takeover --from cursor";
    let found = finds(&home.instance, "client-twice", "warn", &["Cursor starts kept itself, too", fix]);
    assert!(!found.to_string().contains("fails"), "{found}");
    home.ends(0, &["import", "--takeover", "--from", "cursor", "--yes", "--no-check"]);
    finds(&home.instance, "client-twice", "pass", &[]);
}

#[test]
fn an_entry_that_starts_another_program_is_named_with_both() {
    let (home, path) = with_cursor();
    let set = |command: &Path| {
        change(&path, |document| document["mcpServers"]["exai"]["command"] = json!(command));
    };
    let other = home.instance.dir().join("other/exai").with_extension(EXE_EXTENSION);
    set(&other);
    let missing = other.display().to_string();
    finds(
        &home.instance,
        "client-program",
        "fail",
        &["Cursor", "no program", &missing, "exai install cursor"],
    );
    fs::create_dir(home.instance.dir().join("other")).expect("a directory");
    if !cfg!(windows) {
        fs::write(&other, "").expect("a file that nobody can execute");
        finds(&home.instance, "client-program", "fail", &["no program", &missing]);
    }
    fs::copy(program("exai"), &other).expect("it is copied");
    let own = program("exai").display().to_string();
    finds(
        &home.instance,
        "client-program",
        "warn",
        &["Cursor starts ", &missing, &own, "exai install cursor"],
    );
    home.ends(0, &["install", "cursor", "--yes"]);
    finds(&home.instance, "client-program", "pass", &["1 entry"]);
}

#[test]
fn an_entry_that_leads_to_another_state_directory_is_named_with_both() {
    let (home, path) = with_cursor();
    let own = home.instance.home().display().to_string();
    let elsewhere = home.instance.dir().join("elsewhere");
    change(&path, |document| document["mcpServers"]["exai"]["env"]["EXAI_HOME"] = json!(elsewhere));
    let shown = elsewhere.display().to_string();
    finds(&home.instance, "client-home", "warn", &["Cursor leads to", &shown, &own, "exai install cursor"]);
    change(&path, |document| document["mcpServers"]["exai"]["env"] = json!({}));
    finds(&home.instance, "client-home", "warn", &["which is the usual one", ".exai", &own]);
    installed_before(&home, SignedDuration::from_hours(48));
    finds(&home.instance, "client-connected", "skip", &[]);
}

#[test]
fn a_client_that_never_connects_is_named_after_a_while() {
    let (home, _) = with_cursor();
    let is_content = || finds(&home.instance, "client-connected", "pass", &["1 client"]);
    let running = home.run_as("Cursor");
    is_content();
    installed_before(&home, SignedDuration::from_mins(6));
    let words = ["Cursor has not connected since", "6 min ago", "Cursor starts exai by itself"];
    finds(&home.instance, "client-connected", "warn", &words);
    drop(running);
    is_content();
    installed_before(&home, SignedDuration::from_hours(25));
    finds(&home.instance, "client-connected", "warn", &["25 h ago"]);
    let mut client = home.instance.shim(&["--client", "cursor"]);
    client.initialize(&json!({}));
    is_content();
    client.finish();
    home.instance.ends(0, &["stop"]);
    is_content();
}

#[test]
fn a_client_that_is_offered_more_tools_than_it_takes_is_told_how_to_see_fewer() {
    let several: String = ["a", "b", "c"].map(|name| fixture(name, &[])).concat();
    let home = Home::of(Instance::new(&several));
    home.write(".cursor/mcp.json", b"{}");
    home.write(".codex/config.toml", b"");
    let mut client = home.instance.shim(&[]);
    client.initialize(&json!({}));
    home.instance.know(&["a", "b", "c"]);
    let tools = || {
        let listed = home.instance.json(&["tools", "--json"]);
        listed["tools"].as_array().map_or(0, Vec::len)
    };
    assert!(tools() > 40, "{}", tools());
    let said = home.ends(0, &["install", "cursor", "codex", "--yes"]);
    assert!(said.contains("Cursor takes about 40 tools") && said.contains("[clients.cursor]"), "{said}");
    let offered = format!("exai alone offers it {}", tools());
    let words = ["Cursor takes about 40 tools", &offered, "[clients.cursor]"];
    let found = finds(&home.instance, "client-tools", "warn", &words);
    assert!(!found.to_string().contains("Codex"), "nobody knows how many tools Codex takes");
    let status = home.instance.status();
    assert!(status["servers"].as_array().expect("servers").iter().any(|server| server["tools"].is_u64()));
    home.ends(0, &["uninstall", "cursor"]);
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    // With an entry for each server the tools of exai itself are not among them.
    let found = finds(&home.instance, "client-tools", "warn", &["Cursor takes about 40 tools"]);
    assert!(!found.to_string().contains(&offered), "{found}");
    change(&home.path.join(".cursor/mcp.json"), |document| {
        let servers = document["mcpServers"].as_object_mut().expect("servers");
        servers.retain(|name, _| name == "a");
    });
    finds(&home.instance, "client-tools", "pass", &[]);
    home.instance.ends(0, &["stop"]);
    finds(&home.instance, "client-tools", "skip", &[]);
}

#[test]
fn files_of_one_client_that_disagree_are_named() {
    let home = Home::new();
    let place = if cfg!(windows) { "AppData/Roaming/Code/User" } else { ".config/Code/User" };
    home.write(&format!("{place}/mcp.json"), b"{}");
    let profile = home.write(&format!("{place}/profiles/one/mcp.json"), b"{}");
    home.ends(0, &["install", "vscode", "--yes"]);
    finds(&home.instance, "client-copies", "pass", &[]);
    change(&profile, |document| {
        document["servers"]["exai"]["args"] = json!(["shim", "--client", "vscode", "-x"]);
    });
    finds(
        &home.instance,
        "client-copies",
        "warn",
        &["VS Code", "start exai differently", "exai install vscode"],
    );
    fs::write(&profile, "{}").expect("it is written");
    finds(&home.instance, "client-copies", "warn", &["VS Code", "has exai and", "profiles", "does not"]);
    home.ends(0, &["install", "vscode", "--yes"]);
    finds(&home.instance, "client-copies", "pass", &[]);
    assert!(text(&fs::read(&profile).expect("the file")).contains("shim"));
}
