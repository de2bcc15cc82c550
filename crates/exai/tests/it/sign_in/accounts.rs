//! Several accounts of one server, by the directories of the clients.

use std::path::PathBuf;

use exai_test::authorization_server::{AuthorizationServer, Options, follow};
use serde_json::{Value, json};

use super::{Login, whoami};
use crate::support::{Client, Instance};

/// An instance that hosts the server `far` with the accounts `work` and `club`, each for the directory of its name.
fn two_accounts(server: &AuthorizationServer) -> Instance {
    let instance = Instance::new("");
    let directories = ["work", "club"].map(|name| directory(&instance, name));
    let [work, club] = &directories;
    let rules = |path: &PathBuf| json!([path.to_str().expect("a text")]).to_string();
    let config = format!(
        "[servers.far]\nurl = {}\n[servers.far.accounts]\nwork = {{ directories = {} }}\nclub = {{ directories = {} }}\n",
        json!(server.url("/mcp")),
        rules(work),
        rules(club)
    );
    instance.configure(&config);
    instance.ends(0, &["start"]);
    instance
}

fn directory(instance: &Instance, name: &str) -> PathBuf {
    let path = instance.dir().join(name);
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

/// A client that was started in this directory.
fn client_in(instance: &Instance, name: &str) -> Client {
    let mut command = instance.command(&["shim", "--server", "far"]);
    command.current_dir(directory(instance, name));
    let mut client = Client::start(command);
    client.initialize(&json!({}));
    client
}

/// Signs in at an account as a person of the same name.
fn sign_in(instance: &Instance, server: &AuthorizationServer, account: &str) {
    server.sign_in_as(account);
    let login = Login::begin(instance, "far", &["--account", account]);
    assert_eq!(follow(&login.page).status, 200);
    login.succeeds();
}

fn account_of(client: &mut Client) -> Value {
    whoami(client)["result"]["structuredContent"]["account"].clone()
}

#[test]
fn clients_of_two_directories_use_two_accounts_of_one_server() {
    let server = AuthorizationServer::start(Options::default());
    let instance = two_accounts(&server);
    let (mut work, mut club) = (client_in(&instance, "work"), client_in(&instance, "club"));
    for (client, account) in [(&mut work, "work"), (&mut club, "club")] {
        let refused = whoami(client);
        let said = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(&format!("`exai login far --account {account}`")), "{refused}");
        sign_in(&instance, &server, account);
    }
    assert_eq!((account_of(&mut work), account_of(&mut club)), (json!("work"), json!("club")));
    let mut elsewhere = client_in(&instance, "elsewhere");
    let refused = whoami(&mut elsewhere);
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(said.contains("has the accounts work, club"), "{refused}");
    let why = instance.ends(0, &["why", "far"]);
    assert!(why.contains("uses the account work: `directories` names"), "{why}");
    assert!(why.contains("may use none of them"), "{why}");

    instance.ends(0, &["logout", "far", "--account", "work"]);
    assert!(whoami(&mut work)["error"].is_object());
    assert_eq!(account_of(&mut club), "club", "the other account is not concerned");
    let list: Value = serde_json::from_str(&instance.ends(0, &["login", "--list", "--json"])).expect("JSON");
    let states: Vec<(&Value, &Value)> = list["sign_ins"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["account"], &one["signed_in"]))
        .collect();
    assert_eq!(states, [(&json!("club"), &json!(true)), (&json!("work"), &json!(false))]);
}

#[test]
fn who_signs_in_says_at_which_account() {
    let server = AuthorizationServer::start(Options::default());
    let instance = two_accounts(&server);
    for (arguments, expected) in [
        (&["login", "far"][..], "has several accounts: say --account with one of work, club"),
        (&["logout", "far"], "has several accounts"),
        (&["login", "far", "--account", "home"], "has no account \"home\", but work, club"),
    ] {
        let output = instance.command(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}
