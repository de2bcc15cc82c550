//! Sign-ins whose files are sealed with a key of the keyring, which is one of the test's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use exai_test::authorization_server::{AuthorizationServer, Options, follow};
use exai_test::eventually;
use exai_test::secret_service::{Mood, SecretService};
use serde_json::{Value, json};

use super::{Login, whoami};
use crate::remote::far;
use crate::support::{Client, Instance, LIMIT, text};

struct Scene {
    server: AuthorizationServer,
    keyring: SecretService,
    instance: Instance,
}

impl Scene {
    fn start(mood: Mood) -> Self {
        let server = AuthorizationServer::start(Options::default());
        let instance = Instance::new(&far(&server.url("/mcp"), ""));
        let keyring = SecretService::start(instance.dir());
        keyring.set(mood);
        let scene = Scene { server, keyring, instance };
        assert!(scene.command(&["start"]).status().expect("it runs").success());
        scene
    }

    /// A command in the session of the keyring. Only one that starts a daemon, or looks for itself, needs that.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.instance.command(args);
        command.env_remove("EXAI_KEYRING").env("DBUS_SESSION_BUS_ADDRESS", self.keyring.address());
        command
    }

    fn restart(&self) {
        assert!(self.command(&["restart"]).status().expect("it runs").success());
    }

    fn sign_in(&self) -> String {
        let login = Login::begin(&self.instance, "far", &[]);
        assert_eq!(follow(&login.page).status, 200);
        login.tells()
    }

    fn client(&self) -> Client {
        let mut client = Client::start(self.command(&["shim", "--server", "far"]));
        client.initialize(&json!({}));
        client
    }

    /// What a call of a new client is refused with; empty if it is not refused.
    fn refusal(&self) -> String {
        let mut client = Client::start(self.command(&["shim", "--server", "far"]));
        let answer = client.initialize(&json!({}));
        let error = if answer["error"].is_null() { whoami(&mut client) } else { answer };
        error["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    fn list(&self) -> Value {
        serde_json::from_str(&self.instance.ends(0, &["login", "--list", "--json"])).expect("JSON")
    }

    fn files(&self, kind: &str) -> Vec<(PathBuf, String)> {
        let folder = self.instance.home().join("sign-ins");
        let paths = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        let paths =
            paths.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(kind)));
        paths.map(|path| (path.clone(), fs::read_to_string(path).expect("a text"))).collect()
    }

    /// Whether the one record is sealed.
    fn is_sealed(&self) -> bool {
        let files = self.files(".json");
        let [(_, text)] = &files[..] else { panic!("{files:?}") };
        let document: Value = serde_json::from_str(text).expect("JSON");
        let is_sealed = document["sealed"] == "XChaCha20-Poly1305";
        assert_eq!(text.contains("access_token"), !is_sealed, "{text}");
        is_sealed
    }
}

#[test]
fn a_daemon_seals_sign_ins_renews_them_and_outlives_a_keyring_that_is_locked() {
    let scene = Scene::start(Mood::Open);
    let said = scene.sign_in();
    assert!(said.contains("signed in at far") && !said.contains("only your account"), "{said}");
    assert!(scene.is_sealed());
    let items = scene.keyring.items();
    let home = scene.instance.home().canonicalize().expect("it exists");
    let user = ("user".to_owned(), format!("sign-ins of {}", home.display()));
    assert!(items.len() == 1 && items[0].attributes.contains(&user), "{items:?}");
    assert_eq!(
        (scene.list()["sealed"].clone(), scene.list()["sign_ins"][0]["sealed"].clone()),
        (true.into(), true.into())
    );
    // Another daemon reads the key once, however often tokens are renewed.
    scene.restart();
    let mut client = scene.client();
    let reads = scene.keyring.reads();
    for _ in 0..3 {
        scene.server.expire_access_tokens();
        let answer = whoami(&mut client);
        assert!(answer["result"].is_object(), "{answer}");
    }
    assert_eq!((scene.server.seen().refreshes, scene.server.seen().pages), (3, 1));
    assert!(scene.keyring.reads() == reads && scene.is_sealed());
    drop(client);

    scene.keyring.set(Mood::Locked);
    scene.restart();
    let before = scene.files("");
    let refusal = scene.refusal();
    assert!(
        refusal.contains(
            "the keyring of the system is locked; unlock the keyring, or `exai login far` signs in anew"
        ),
        "{refusal}"
    );
    let list = scene.list();
    assert_eq!(
        (list["unread"].as_array().map(Vec::len), list["sign_ins"].as_array().map(Vec::len)),
        (Some(1), Some(0))
    );
    let doctor = scene.command(&["doctor"]).output().expect("it runs");
    let shown = text(&doctor.stdout);
    assert!(shown.contains("sign-ins") && shown.contains("1 sign-in cannot be read"), "{shown}");
    assert_eq!(scene.files(""), before);
    // The same daemon goes on when it is unlocked.
    scene.keyring.set(Mood::Open);
    eventually("calls go on", LIMIT, || scene.refusal().is_empty());
    assert_eq!((scene.server.seen().pages, scene.keyring.prompts()), (1, 0));
}

#[test]
fn a_keyring_that_was_reset_or_hangs_is_said_and_a_new_sign_in_helps() {
    let scene = Scene::start(Mood::Open);
    scene.sign_in();
    scene.keyring.set(Mood::Hanging);
    scene.restart();
    let refusal = scene.refusal();
    assert!(refusal.contains("the keyring of the system does not answer"), "{refusal}");
    let old = scene.files(".json");
    scene.keyring.forget();
    scene.keyring.set(Mood::Open);
    eventually("it is gone", LIMIT, || {
        scene.refusal().contains(
            "the keyring of the system does not have the key any more; `exai login far` signs in anew",
        )
    });
    assert_eq!((scene.files(".json"), scene.keyring.items().len()), (old.clone(), 0));
    scene.sign_in();
    assert_eq!(scene.refusal(), "");
    let aside = scene.files(".broken-");
    assert!(scene.is_sealed() && aside.len() == 1 && aside[0].1 == old[0].1, "{aside:?}");
}

#[test]
fn where_there_is_no_keyring_files_are_plain_and_that_is_announced() {
    let scene = Scene::start(Mood::Gone);
    let said = scene.sign_in();
    let announced = "in a file that only your account can read, since no keyring can be reached here";
    assert!(said.contains(announced), "{said}");
    assert!(!scene.is_sealed());
    let list = scene.list();
    assert_eq!((&list["sealed"], &list["sign_ins"][0]["sealed"]), (&false.into(), &false.into()));
    assert!(list["plain_why"].as_str().is_some_and(|why| why.starts_with("no keyring")), "{list}");
    let shown = scene.instance.ends(0, &["login", "--list"]);
    assert!(shown.contains("kept in files that only your account can read, since no keyring"), "{shown}");
    // One that comes later is used with the next change.
    scene.keyring.set(Mood::Open);
    let mut client = scene.client();
    eventually("the file is sealed", LIMIT, || {
        scene.server.expire_access_tokens();
        whoami(&mut client)["result"].is_object() && scene.is_sealed()
    });
}
