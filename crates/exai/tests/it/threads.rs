//! `exai threads`, beside the tools that make the threads.

use std::time::Duration;

use exai_config::Home;
use exai_tools::threads::{CallKey, CallStart, Finished, NewCall, NewThread, NewTurn, ThreadStore};
use serde_json::{Map, json};

use crate::support::{Instance, text};

const MONTH: Duration = Duration::from_hours(30 * 24);

fn store(instance: &Instance) -> ThreadStore {
    ThreadStore::new(Home::at(instance.home()))
}

/// A thread with one paid call; its id.
fn ask(store: &ThreadStore, request: &str, answer: &str) -> String {
    let new = NewThread { tool: "chat", request, client: Some("cursor") };
    let thread = store.create_thread(&new, MONTH).unwrap().id;
    let key = CallKey::of("chat", None, &Map::new());
    let call = NewCall {
        thread: &thread,
        key: &key,
        tool: "chat",
        asks: 1,
        max_paid: 9,
        pay_again: false,
        repeatable: true,
    };
    let CallStart::New { reference } = store.begin_call(&call).unwrap() else { panic!("a new call") };
    let question = NewTurn { files: vec!["/src/main.rs".to_owned()], ..NewTurn::of_user("chat", request) };
    let turns = [question, NewTurn::of_assistant("chat", "glm-5", "glm", answer)];
    store.finish_call(&reference, &Finished { result: &json!({}), paid: 1, turns: &turns }).unwrap();
    thread
}

/// What a command that must end with this code says on stderr.
#[track_caller]
fn complains(instance: &Instance, code: i32, args: &[&str]) -> String {
    let output = instance.exai(args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "exai {args:?}: {said}");
    said
}

#[test]
fn threads_are_listed_shown_and_removed_without_a_daemon() {
    let instance = Instance::new("");
    assert_eq!(instance.json(&["threads", "--json"]), json!({"schema": 1, "threads": []}));
    assert!(instance.ends(0, &["threads"]).starts_with("there are no threads; "));
    assert!(!instance.home().join("exai.db").exists(), "to look makes no file");

    let tools = store(&instance);
    let old = ask(&tools, "Why does it hang?\nAnd where?", "In a lock.\n\tSee below.");
    let new = ask(&tools, "Second", "Yes.");
    let listed = instance.json(&["threads", "--json"]);
    let threads = listed["threads"].as_array().unwrap();
    let of = |at: usize, key: &str| threads[at][key].clone();
    assert_eq!((of(0, "id"), of(1, "id")), (json!(new), json!(old)), "the one used last is the first");
    assert_eq!((of(1, "title"), of(1, "client")), (json!("Why does it hang?"), json!("cursor")));
    assert_eq!((of(1, "tool"), of(1, "turns"), of(1, "paid_calls")), (json!("chat"), json!(2), json!(1)));
    let said = instance.ends(0, &["threads"]);
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["2 threads, the one used last first:"]);
    assert!(
        rows[3].starts_with(&[&old[..8], "chat"]) && rows[3].ends_with(&["cursor", "Why does it hang?"]),
        "{said}"
    );

    let said = instance.ends(0, &["threads", "show", &old[..8]]);
    for part in [
        &old,
        "Why does it hang?",
        "2 turns, 1 paid call",
        "1 user chat",
        "glm-5 of glm",
        "      See below.",
        "/src/main.rs",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let shown = instance.json(&["threads", "show", &old, "--json"]);
    assert_eq!((&shown["schema"], &shown["thread"]), (&json!(1), &threads[1]));
    assert_eq!(shown["turns"][1]["text"], "In a lock.\n\tSee below.");
    assert_eq!(
        (&shown["turns"][0]["role"], &shown["turns"][0]["files"][0]),
        (&json!("user"), &json!("/src/main.rs"))
    );

    let said = complains(&instance, 1, &["threads", "show", "zzz"]);
    assert!(said.contains("there is no thread zzz") && said.contains("`exai threads` lists"), "{said}");
    assert!(instance.ends(0, &["threads", "remove", "--older-than", "7d"]).contains("nothing was removed"));
    complains(&instance, 2, &["threads", "remove"]);
    let said = complains(&instance, 2, &["threads", "remove", "--older-than", "soon"]);
    assert!(said.contains("7d, 12h or 90m"), "{said}");
    assert!(instance.ends(0, &["threads", "remove", &new]).contains("removed"));
    // Those who have the file open see that.
    assert_eq!(tools.list_threads().unwrap().len(), 1);
    assert_eq!(tools.continue_thread(&new, MONTH).unwrap_err().to_string(), complaint(&new));
    assert_eq!(instance.ends(0, &["threads", "remove", "--older-than", "0s"]), "removed 1 thread\n");
    assert!(!instance.home().join("daemon.json").exists(), "no daemon was started");
}

fn complaint(id: &str) -> String {
    format!("there is no thread {id}; it may have expired or been removed")
}

#[test]
fn a_damaged_database_is_named_and_reset_begins_another() {
    let instance = Instance::new("");
    assert!(instance.ends(0, &["threads", "reset"]).contains("nothing was put aside"));
    ask(&store(&instance), "x", &"y".repeat(300_000));
    let path = instance.home().join("exai.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2000..200_000].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    for args in
        [&["threads"][..], &["threads", "--json"], &["threads", "show", "x"], &["threads", "remove", "x"]]
    {
        let said = complains(&instance, 1, args);
        assert!(
            said.contains("exai.db is damaged") && said.contains("`exai threads reset`"),
            "{args:?}: {said}"
        );
    }
    let said = instance.ends(0, &["threads", "reset"]);
    let aside = instance.home().join("backups").join("exai.1.db");
    assert!(said.contains("exai.1.db") && std::fs::read(aside).unwrap() == bytes, "{said}");
    ask(&store(&instance), "x", "y");
    assert_eq!(instance.json(&["threads", "--json"])["threads"].as_array().unwrap().len(), 1);
    let doctor = instance.exai(&["doctor", "--json"]);
    let said = text(&doctor.stdout);
    assert!(!said.contains("exai.db"), "nothing is wrong with the file: {said}");
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let instance = Instance::new("");
    std::fs::create_dir(instance.home().join("exai.db")).unwrap();
    let said = complains(&instance, 5, &["threads"]);
    assert!(said.contains("exai.db is not used: it is a directory") && said.contains("mv "), "{said}");
}
