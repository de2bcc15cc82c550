//! Which files a model sees.

use serde_json::json;

use super::scene::{call, endpoint, instance};
use crate::support::Client;
use crate::ways::{Door, Party, Way};

#[test]
fn a_client_without_roots_has_the_files_read_of_the_directory_that_it_works_in() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let project = instance.dir().join("project");
    std::fs::create_dir(&project).expect("a directory");
    std::fs::write(project.join("lock.rs"), "fn take_twice() {}\n").expect("a file");
    std::fs::write(instance.dir().join("other.rs"), "fn private() {}\n").expect("a file");
    let mut command = instance.command(&["shim", "--server", "ai"]);
    command.current_dir(&project);
    let mut client = Client::start(command);
    client.initialize(&json!({}));
    let outside = instance.dir().join("other.rs");
    let refused = call(&mut client, "chat", &json!({"prompt": "x", "files": [outside]}));
    assert_eq!(refused["error"]["code"], "outside", "{refused}");
    let as_text = call(&mut client, "chat", &json!({"prompt": "x", "files": outside}));
    assert_eq!(as_text["error"]["code"], "outside", "{as_text}");
    assert_eq!(endpoint.chats().len(), 0, "a model was paid to see nothing");
    let seen = call(&mut client, "chat", &json!({"prompt": "x", "files": ["lock.rs"]}));
    assert_eq!(seen["file_context"]["files"][0]["path"], "lock.rs", "{seen}");
    assert!(endpoint.chats()[0].body.to_string().contains("fn take_twice()"));
}

#[test]
fn the_roots_of_a_client_decide_where_it_tells_some() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let root = instance.dir().join("root");
    std::fs::create_dir(&root).expect("a directory");
    std::fs::write(root.join("a.rs"), "fn in_the_root() {}\n").expect("a file");
    std::fs::write(root.join(".env"), "KEY=sk-very-secret\n").expect("a file");
    let mut client = instance.shim(&["--server", "ai"]);
    client.initialize(&json!({"roots": {}}));
    let path = root.to_string_lossy().replace('\\', "/");
    let uri = format!("file://{}{path}", if path.starts_with('/') { "" } else { "/" });
    let mut ask = |files: serde_json::Value| {
        let id = client
            .request("tools/call", &json!({"name": "chat", "arguments": {"prompt": "x", "files": files}}));
        loop {
            let message = client.receive();
            if message["method"] == "roots/list" {
                let roots = json!({"roots": [{"uri": uri}]});
                client.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": roots}));
            } else if message["id"] == id {
                return message["result"]["structuredContent"].clone();
            }
        }
    };
    assert_eq!(ask(json!(["a.rs"]))["file_context"]["files"][0]["path"], "a.rs");
    let secret = ask(json!([root.join(".env")]));
    assert_eq!(secret["error"]["code"], "secret", "{secret}");
    assert_eq!(endpoint.chats().len(), 1);
    assert!(!endpoint.chats()[0].body.to_string().contains("sk-very-secret"));
}

#[test]
fn a_client_that_tells_no_directory_may_have_read_what_the_user_allows() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let allowed = instance.dir().join("allowed");
    std::fs::create_dir(&allowed).expect("a directory");
    std::fs::write(allowed.join("a.md"), "allowed words\n").expect("a file");
    let file = allowed.join("a.md");
    let door = Door::of(&instance);
    let mut client = Party::join(&instance, &door, Way::Http, Some("ai"), &json!({}));
    let mut ask = || {
        let arguments = json!({"name": "chat", "arguments": {"prompt": "x", "files": [file]}});
        client.ask("tools/call", &arguments)["result"]["structuredContent"].clone()
    };
    let refused = ask();
    assert_eq!(refused["error"]["code"], "no_directory", "{refused}");
    let config = std::fs::read_to_string(instance.home().join("config.toml")).expect("a file");
    let more = format!("{config}[ai]\ndirectories = [{}]\n", json!(allowed));
    std::fs::write(instance.home().join("config.toml"), more).expect("a file");
    assert!(ask()["content"].is_string());
    assert!(endpoint.chats()[0].body.to_string().contains("allowed words"));
}
