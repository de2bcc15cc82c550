//! `exai install`, `uninstall` and `clients`: into the files of clients, and out again byte for byte.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Instance, text};

/// A home directory with the files of clients.
struct Home {
    instance: Instance,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let instance = Instance::with_fixture(&[]);
        let path = instance.dir().join("user");
        fs::create_dir(&path).expect("a directory");
        Home { instance, path }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
        fs::write(&path, bytes).expect("a file");
        path
    }

    fn exai(&self, args: &[&str]) -> Output {
        let mut command = self.instance.command(args);
        command.env("HOME", &self.path).env("USERPROFILE", &self.path);
        command.env("APPDATA", self.path.join("AppData/Roaming"));
        command.env("LOCALAPPDATA", self.path.join("AppData/Local"));
        for name in ["XDG_CONFIG_HOME", "CODEX_HOME", "COPILOT_HOME", "CLAUDE_CONFIG_DIR"] {
            command.env_remove(name);
        }
        command.output().expect("it runs")
    }

    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.exai(args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }
}

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
fn what_is_configured_by_hand_is_printed_to_be_pasted() {
    let home = Home::new();
    let said = text(&home.exai(&["install", "jetbrains"]).stdout);
    let block: String =
        said.lines().skip_while(|line| *line != "{").take_while(|line| *line != "}").collect();
    let document: Value = serde_json::from_str(&(block + "}")).expect("JSON between the sentences");
    assert_eq!(document["mcpServers"]["exai"]["args"], json!(["shim", "--client", "jetbrains"]));
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
    assert!(said.contains("configured, not connected now") && said.contains("exai also knows"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_link_stays_one_and_the_file_keeps_its_mode() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let home = Home::new();
    let real = home.write("dots/mcp.json", b"{}\n");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("its mode");
    fs::create_dir(home.path.join(".cursor")).expect("a directory");
    let link = home.path.join(".cursor/mcp.json");
    symlink(&real, &link).expect("a link");
    home.ends(0, &["install", "cursor", "--yes"]);
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(fs::metadata(&real).expect("it is there").mode() & 0o777, 0o640);
    assert!(text(&fs::read(&real).expect("the file")).contains("shim"));
    home.ends(0, &["uninstall", "cursor"]);
    assert_eq!(fs::read(&real).expect("the file"), b"{}\n");
}
