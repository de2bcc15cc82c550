//! The files and directories themselves: links, permissions, and what was made.

use std::fs;

use serde_json::Value;

use super::Home;
#[cfg(unix)]
use crate::support::text;

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

#[cfg(unix)]
#[test]
fn a_link_to_a_file_that_is_still_to_come_stays() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    fs::create_dir_all(home.path.join(".cursor")).expect("a directory");
    let link = home.path.join(".cursor/mcp.json");
    symlink("../dots/mcp.json", &link).expect("a link");
    let target = home.path.join("dots/mcp.json");
    home.ends(0, &["install", "cursor", "--yes"]);
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert!(text(&fs::read(&target).expect("the file")).contains("shim"));
    let said = home.ends(0, &["uninstall", "cursor"]);
    assert!(said.contains("is gone, as it was before"), "{said}");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert!(!target.exists());
    fs::remove_file(&link).expect("it goes");
    symlink("mcp.json", &link).expect("a link to itself");
    let said = home.ends(1, &["install", "cursor", "--yes"]);
    assert!(said.contains("mcp.json") && said.contains("links"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_file_that_its_user_has_protected_is_left_alone() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", "{}");
    let protect = || fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("its mode");
    protect();
    let said = home.ends(5, &["install", "cursor", "--yes"]);
    assert!(said.contains("mcp.json is read-only") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(&path).expect("the file"), b"{}");
    home.ends(0, &["install", "cursor", "--yes", "--force"]);
    assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o444);
    assert!(home.ends(0, &["install", "cursor", "--yes"]).contains("has the entry already"));
    let written = fs::read(&path).expect("the file");
    assert!(home.ends(5, &["uninstall", "cursor"]).contains("read-only"));
    assert_eq!(fs::read(&path).expect("the file"), written);
    home.ends(0, &["uninstall", "cursor", "--force"]);
    assert_eq!(fs::read(&path).expect("the file"), b"{}");
}

#[cfg(unix)]
#[test]
fn a_directory_that_takes_no_file_is_named() {
    let home = Home::new();
    // Not even root can make a file there.
    std::os::unix::fs::symlink("/dev/fd", home.path.join(".cursor")).expect("a link");
    let said = home.ends(1, &["install", "cursor", "--yes"]);
    assert!(said.contains("cannot write into") && said.contains(".cursor"), "{said}");
    assert!(!said.contains(".exai-"), "{said}");
}

#[test]
fn directories_that_were_made_are_gone_again_if_they_are_empty() {
    let home = Home::new();
    let deep = if cfg!(windows) { "AppData/Roaming/Code" } else { ".config/Code" };
    home.ends(0, &["install", "vscode", "lm-studio", "cursor", "--yes"]);
    // Files that exai has recorded are written again.
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    assert!(home.path.join(deep).exists());
    home.write(".cursor/of-cursor", "");
    // Two clients share `.gemini`, and the one for which it was made goes first.
    home.ends(0, &["install", "antigravity", "gemini-cli", "--yes"]);
    home.ends(0, &["uninstall", "antigravity", "gemini-cli", "vscode", "lm-studio", "cursor"]);
    assert!(!home.path.join(deep).exists());
    assert!(!home.path.join(".lmstudio").exists() && !home.path.join(".gemini").exists());
    assert!(home.path.join(".cursor/of-cursor").exists());
    let document: Value = serde_json::from_str(&home.ends(0, &["clients", "--json"])).expect("JSON");
    let all = document["clients"].as_array().expect("clients");
    let found: Vec<&Value> = all.iter().filter(|one| one["found"] == true).map(|one| &one["id"]).collect();
    assert_eq!(found, ["cursor"]);
}

#[test]
fn kept_bytes_go_with_their_record() {
    let home = Home::new();
    let backups = home.instance.home().join("backups/clients");
    let count = || fs::read_dir(&backups).map_or(0, |entries| entries.flatten().count());
    let path = home.write(".cursor/mcp.json", "{}");
    home.write(".gemini/settings.json", "{ }");
    home.ends(0, &["install", "cursor", "gemini-cli", "--yes"]);
    assert_eq!(count(), 4, "the original and the written bytes of each");
    // Another time: what was written first is of no use any more, and the original is.
    home.ends(0, &["install", "cursor", "--each", "--yes"]);
    assert_eq!(count(), 4);
    home.ends(0, &["uninstall", "gemini-cli"]);
    assert_eq!(count(), 2);
    home.ends(0, &["uninstall", "cursor"]);
    assert_eq!((count(), fs::read(&path).expect("the file")), (0, b"{}".to_vec()));
}
