//! Tests of the threads on real files, with several connections and processes.

#![expect(clippy::print_stderr, reason = "figures, and why a test is skipped")]

use std::time::Duration;

use exai_config::Home;
use exai_tools::explain::Explain as _;
use exai_tools::threads::{
    CallKey, CallStart, Finished, NewCall, NewThread, NewTurn, ThreadError, ThreadFacts, ThreadStore,
};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

mod calls;
mod damage;
mod history;
mod keeping;
mod processes;
mod turns;

const MONTH: Duration = Duration::from_hours(30 * 24);

/// A state directory.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> Home {
        Home::at(self.dir.path().join("home"))
    }

    /// Threads that another process could have open.
    fn store(&self) -> ThreadStore {
        ThreadStore::new(self.home())
    }

    /// Changes the file behind the back of the stores.
    fn execute(&self, sql: &str) {
        Connection::open(self.home().database()).unwrap().execute_batch(sql).unwrap();
    }
}

fn create(store: &ThreadStore, request: &str) -> ThreadFacts {
    let new = NewThread { tool: "chat", request, client: Some("test") };
    store.create_thread(&new, MONTH).unwrap()
}

fn key(what: &str) -> CallKey {
    CallKey::of("chat", None, &Map::from_iter([("prompt".to_owned(), json!(what))]))
}

fn call<'a>(thread: &'a str, key: &'a CallKey) -> NewCall<'a> {
    NewCall { thread, key, tool: "chat", asks: 1, max_paid: 50, pay_again: false, repeatable: false }
}

#[track_caller]
fn begin(store: &ThreadStore, new: &NewCall<'_>) -> String {
    match store.begin_call(new).unwrap() {
        CallStart::New { reference } => reference,
        other => panic!("{other:?}"),
    }
}

fn finish(store: &ThreadStore, reference: &str, result: &Value) {
    let turns =
        [NewTurn::of_user("chat", "question"), NewTurn::of_assistant("chat", "glm-5", "glm", "answer")];
    store.finish_call(reference, &Finished { result, paid: 1, turns: &turns }).unwrap();
}
