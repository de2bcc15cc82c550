//! `exai install`, `uninstall` and `clients`: into the files of clients, and out again byte for byte.

mod by_hand;
mod clients;
mod counted;
mod kinds;
mod layouts;
mod place;

use std::fs;

use serde_json::{Value, json};

use crate::support::text;
use crate::user_home::Home;

#[test]
fn the_entry_works_and_goes_again_without_a_trace() {
    let home = Home::new();
    let jsonc = b"{\r\n  // mine\r\n  \"mcpServers\": {\r\n    \"other\": {\"command\": \"x\"}, // stays\r\n  }\r\n}\r\n";
    let toml = b"# mine\nmodel = \"o\"\n\n[mcp_servers.other] # stays\ncommand = 'x'\n# the end\n";
    let cases: [(&str, &str, &[u8]); 3] = [
        ("gemini-cli", ".gemini/settings.json", jsonc),
        ("codex", ".codex/config.toml", toml),
        ("cursor", ".cursor/mcp.json", b"{}"),
    ];
    for (client, file, before) in cases {
        let path = home.write(file, before);
        let said = home.ends(0, &["install", client, "--yes"]);
        assert!(said.contains("will see ") && said.contains(" tools"), "{client}: {said}");
        let written = text(&fs::read(&path).expect("the file"));
        assert!(
            written.contains("shim") && written.contains(client) && written.contains("EXAI_HOME"),
            "{written}"
        );
        assert!(home.ends(0, &["install", client, "--yes"]).contains("has the entry already"));
        let said = home.ends(0, &["uninstall", client]);
        assert!(said.contains("is what it was"), "{client}: {said}");
        assert_eq!(text(&fs::read(&path).expect("the file")), text(before), "{client}");
        assert!(home.ends(0, &["uninstall", client]).contains("has no entry"));
    }
}

#[test]
fn what_the_user_changes_meanwhile_stays() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{\n  \"mcpServers\": {}\n}\n");
    home.ends(0, &["install", "cursor", "--yes"]);
    let mut document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    document["mcpServers"]["mine"] = json!({"command": "later"});
    fs::write(&path, document.to_string()).expect("it is written");
    let said = home.ends(0, &["uninstall", "cursor"]);
    assert!(said.contains("the rest is as you left it"), "{said}");
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    assert_eq!(document, json!({"mcpServers": {"mine": {"command": "later"}}}));
}

#[test]
fn a_file_that_was_not_there_is_gone_again() {
    let home = Home::new();
    let path = home.path.join(".cursor/mcp.json");
    home.ends(0, &["install", "cursor", "--yes"]);
    assert!(path.exists());
    home.ends(0, &["uninstall", "cursor"]);
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_changed_safely_is_left_alone() {
    let home = Home::new();
    let broken = b"{\n  \"mcpServers\": {,}\n}";
    let path = home.write(".cursor/mcp.json", broken);
    let said = home.ends(1, &["install", "cursor", "--yes"]);
    assert!(said.contains("mcp.json") && said.contains("line 2") && said.contains("left as it is"), "{said}");
    assert_eq!(fs::read(&path).expect("the file"), broken);
    let foreign = json!({"mcpServers": {"exai": {"command": "something-else"}}}).to_string();
    fs::write(&path, &foreign).expect("it is written");
    let said = home.ends(5, &["install", "cursor", "--yes"]);
    assert!(said.contains("has another server `exai`") && said.contains("--force"), "{said}");
    assert_eq!(text(&fs::read(&path).expect("the file")), foreign);
    let said = home.ends(1, &["install", "cursor", "--force"]);
    assert!(said.contains("no terminal to ask on") && said.contains("--yes"), "{said}");
    assert_eq!(text(&fs::read(&path).expect("the file")), foreign);
    assert_eq!(home.exai(&["install", "nobody"]).status.code(), Some(2));
    assert_eq!(home.exai(&["install"]).status.code(), Some(2));
}

#[test]
fn of_several_clients_each_says_what_mends_it() {
    let home = Home::new();
    let said = home.ends(1, &["install", "cursor", "codex"]);
    assert!(said.contains("Cursor: there is no terminal") && said.contains("Codex: there is no"), "{said}");
    assert_eq!(said.matches("`--yes`").count(), 1, "{said}");
}

#[test]
fn the_entry_names_the_variables_that_lead_to_the_daemon() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    let mut command = home.command(&["install", "cursor", "--yes"]);
    assert!(command.env("EXAI_PORT", "0").status().expect("it runs").success());
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let env = &document["mcpServers"]["exai"]["env"];
    assert_eq!(env, &json!({"EXAI_HOME": home.instance.home(), "EXAI_PORT": "0"}));
}

#[test]
fn a_client_that_rewrites_its_file_is_not_written_to_while_it_runs() {
    let home = Home::new();
    let file = if cfg!(windows) { "AppData/Roaming/Claude" } else { ".config/Claude" };
    let path = home.write(&format!("{file}/claude_desktop_config.json"), b"{}");
    let running = home.run_as("claude-desktop");
    let said = home.ends(5, &["install", "claude-desktop", "--yes"]);
    assert!(said.contains("writes its file from memory") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(&path).expect("the file"), b"{}");
    home.ends(0, &["install", "claude-desktop", "--yes", "--force"]);
    drop(running);
    home.ends(0, &["uninstall", "claude-desktop"]);
    home.ends(0, &["install", "claude-desktop", "--yes"]);
    // Of Augment it is not known, so the user is told.
    let _running = home.run_as("code-insiders");
    let said = home.ends(0, &["install", "augment", "--yes"]);
    assert!(said.contains("may write its file from memory") && said.contains("exai is in"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_start_on_a_terminal_tells_how_to_connect_a_client_until_one_has_exai() {
    use std::process::{Command, Stdio};
    let home = Home::new();
    home.write(".cursor/mcp.json", b"{}");
    let on_a_terminal = || {
        let mut script = Command::new("script");
        let command = format!("{} start", exai_test::program("exai").display());
        script.args(["-qec", &command, "/dev/null"]).env("EXAI_HOME", home.instance.home());
        crate::user_home::lead_home(&mut script, &home.path);
        text(&script.stdin(Stdio::null()).output().expect("script runs (bsdutils)").stdout)
    };
    let said = on_a_terminal();
    assert!(said.contains("`exai install --all`") && said.contains("mcpServers"), "{said}");
    home.ends(0, &["install", "cursor", "--yes"]);
    let said = on_a_terminal();
    assert!(said.contains("Cursor has exai") && !said.contains("mcpServers"), "{said}");
    let piped = home.ends(0, &["start"]);
    assert!(piped.contains("mcpServers") && !piped.contains("exai install"), "{piped}");
}

#[test]
fn installs_at_once_lose_nothing_of_each_other() {
    let home = Home::new();
    let clients = ["cursor", "lm-studio", "windsurf", "codex", "gemini-cli", "qwen-code", "auggie", "amp"];
    let mut running: Vec<_> = clients
        .iter()
        .map(|client| home.command(&["install", client, "--yes"]).spawn().expect("it starts"))
        .collect();
    for one in &mut running {
        assert!(one.wait().expect("it ends").success());
    }
    let record = fs::read(home.instance.home().join("installs.json")).expect("the record");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(record["installs"].as_array().expect("installs").len(), clients.len());
    home.ends(0, &["uninstall", "--all"]);
    assert!(!home.path.join(".cursor/mcp.json").exists(), "what was not there before is gone");
}

#[cfg(unix)]
#[test]
fn the_end_of_the_input_is_no_yes() {
    let home = Home::new();
    let path = home.path.display().to_string();
    let arguments = ["install", "claude-code"];
    let mut terminal = crate::terminal::Terminal::with(&home.instance, &arguments, &[("HOME", &path)]);
    terminal.expect("write this? [Y/n] ");
    terminal.press("\u{4}");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(!home.path.join(".claude.json").exists(), "{seen}");
}
