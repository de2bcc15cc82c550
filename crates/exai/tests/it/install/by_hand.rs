//! Clients whose files exai does not change.

use serde_json::{Value, json};

use super::Home;
use crate::support::text;

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
fn with_each_one_valid_text_has_all_entries() {
    let home = Home::new();
    home.instance.ends(0, &["add", "two", "--no-check", "--", "x"]);
    let said = text(&home.exai(&["install", "jetbrains", "--each"]).stdout);
    let block: String =
        said.lines().skip_while(|line| *line != "{").take_while(|line| *line != "}").collect();
    let document: Value = serde_json::from_str(&(block + "}")).expect("JSON between the sentences");
    let servers = document["mcpServers"].as_object().expect("servers");
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["fix", "two"]);
    for (client, key, names) in [
        ("continue", "mcpServers:", ["  - name: \"fix\"", "  - name: \"two\""]),
        ("goose", "extensions:", ["  fix:", "  two:"]),
    ] {
        let said = text(&home.exai(&["install", client, "--each"]).stdout);
        let count = |wanted: &str| said.lines().filter(|line| *line == wanted).count();
        assert_eq!((count(key), count(names[0]), count(names[1])), (1, 1, 1), "{said}");
    }
}

#[test]
fn what_was_pasted_is_found_and_named_with_its_lines() {
    let home = Home::new();
    let printed = |client: &str, begin: &str| {
        let said = text(&home.exai(&["install", client]).stdout);
        let lines = said.lines().skip_while(|line| *line != begin).skip(1);
        lines.take_while(|line| line.starts_with(' ')).flat_map(|line| [line, "\n"]).collect::<String>()
    };
    let goose = if cfg!(windows) { "AppData/Roaming/Block/goose/config" } else { ".config/goose" };
    for (client, begin, file) in [
        ("continue", "mcpServers:", ".continue/config.yaml".to_owned()),
        ("goose", "extensions:", format!("{goose}/config.yaml")),
    ] {
        let lines = printed(client, begin);
        let path = home.write(&file, format!("# mine\n{begin}\n"));
        assert!(home.ends(0, &["uninstall", client]).contains("has no entry"));
        let find = || {
            let document: Value = serde_json::from_str(&home.ends(0, &["clients", "--json"])).expect("JSON");
            let all = document["clients"].as_array().expect("clients");
            all.iter().find(|one| one["id"] == client).expect("it is known").clone()
        };
        assert_eq!((&find()["found"], &find()["configured"]), (&json!(true), &json!(false)));
        home.write(&file, format!("# mine\n{begin}\n{lines}other: 1\n"));
        assert_eq!((&find()["found"], &find()["configured"]), (&json!(true), &json!(true)));
        let said = home.ends(0, &["install", client]);
        assert!(said.contains("has the entry already") && said.contains("will see "), "{said}");
        assert!(!said.contains(begin), "{said}");
        let place = format!("lines 3 to {} (exai)", 2 + lines.lines().count());
        let said = home.ends(1, &["uninstall", client]);
        assert!(said.contains("take these lines out of") && said.contains(&place), "{said}");
        assert!(said.contains(&*path.to_string_lossy()), "{said}");
        // The other kind: what is to be added, and what is to be taken out.
        let said = home.ends(0, &["install", client, "--each"]);
        assert!(said.contains("add only the lines below that key") && said.contains("fix"), "{said}");
        assert!(said.contains("take these lines out of") && said.contains(&place), "{said}");
    }
    let said = home.ends(0, &["uninstall", "jetbrains"]);
    assert!(said.contains("where exai cannot look"), "{said}");
}
