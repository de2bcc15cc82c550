//! What needs other bounds, versions or patience than the product's. `tests/threads` has the rest.

use std::time::Duration;

use exai_config::Home;
use rusqlite::Connection;

use super::bounds::{BOUNDS, Bounds, MAX_TEXT_BYTES, PATIENCE};
use super::schema::{MIGRATIONS, find_version, migrate};
use super::{CallKey, NewCall, NewThread, NewTurn, ThreadStore};
use crate::explain::Explain as _;

const MONTH: Duration = Duration::from_hours(30 * 24);

fn open(bounds: Bounds, patience: Duration) -> (tempfile::TempDir, ThreadStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ThreadStore::with_bounds(Home::at(dir.path().join("home")), bounds, patience);
    (dir, store)
}

fn create(store: &ThreadStore, request: &str) -> String {
    store.create_thread(&NewThread { tool: "chat", request, client: None }, MONTH).unwrap().id
}

fn direct(store: &ThreadStore) -> Connection {
    Connection::open(store.database.home().database()).unwrap()
}

#[test]
fn of_too_many_threads_those_go_that_were_unused_longest() {
    let (_dir, store) = open(Bounds { threads: 3, ..BOUNDS }, PATIENCE);
    let threads: Vec<String> = (0..3).map(|at| create(&store, &at.to_string())).collect();
    let key = CallKey::of("chat", None, &serde_json::Map::new());
    let thread = &threads[0];
    let new = NewCall {
        thread,
        key: &key,
        tool: "chat",
        asks: 1,
        max_paid: 1,
        pay_again: false,
        repeatable: false,
    };
    store.begin_call(&new).unwrap();
    let aged = direct(&store).execute_batch(
        "UPDATE threads SET used_at = used_at - 9000 WHERE title = '0';
         UPDATE threads SET used_at = used_at - 8000 WHERE title = '1';
         UPDATE threads SET used_at = used_at - 7000 WHERE title = '2';",
    );
    aged.unwrap();
    create(&store, "3");
    let titles = |store: &ThreadStore| {
        let mut titles: Vec<String> =
            store.list_threads().unwrap().into_iter().map(|thread| thread.title).collect();
        titles.sort_unstable();
        titles
    };
    assert_eq!(titles(&store), ["0", "2", "3"], "a thread with a running call stays");
}

#[test]
fn the_file_has_a_bound_and_room_is_given_back() {
    let (_dir, store) = open(Bounds { bytes: 40 << 20, ..BOUNDS }, PATIENCE);
    let turn = [NewTurn::of_user("chat", "x".repeat(MAX_TEXT_BYTES))];
    let mut newest = String::new();
    for _ in 0..8 {
        newest = create(&store, "x");
        store.add_turns(&newest, &turn).unwrap();
    }
    let kept = store.list_threads().unwrap().len();
    assert_eq!(kept, 4, "each takes 8 MiB");
    assert_eq!(store.find_thread(&newest).unwrap().turns.len(), 1);
    let length = || std::fs::metadata(store.database.home().database()).unwrap().len();
    let before = length();
    let ids: Vec<String> = store.list_threads().unwrap().into_iter().map(|thread| thread.id).collect();
    assert_eq!(store.remove_threads(&ids).unwrap().len(), kept);
    // Each removal gives back 16 MiB at most.
    store.remove_unused(MONTH).unwrap();
    store.database.close();
    assert!(length() < before / 2, "{before}, {}", length());
}

#[test]
fn an_older_file_gets_what_is_new_and_keeps_what_it_has() {
    let (_dir, store) = open(BOUNDS, PATIENCE);
    let thread = create(&store, "x");
    let path = store.database.home().database();
    let mut connection = direct(&store);
    let newer = [MIGRATIONS, &["ALTER TABLE threads ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'"]].concat();
    migrate(&mut connection, &path, &newer).unwrap();
    migrate(&mut connection, &path, &newer).unwrap();
    assert_eq!(find_version(&connection, &path, &newer).unwrap(), MIGRATIONS.len() + 1);
    let (id, mood): (String, String) = connection
        .query_row("SELECT id, mood FROM threads", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((id, mood.as_str()), (thread, "calm"));
    // A migration that fails leaves the file as it was.
    let broken = [newer.as_slice(), &["CREATE TABLE more (x); CREATE TABLE threads (x)"]].concat();
    migrate(&mut connection, &path, &broken).unwrap_err();
    drop(connection);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(find_version(&connection, &path, &newer).unwrap(), MIGRATIONS.len() + 1);
    connection.query_row("SELECT count(*) FROM more", [], |_| Ok(())).unwrap_err();
}

#[test]
fn a_process_that_keeps_the_file_locked_is_waited_for_and_then_named() {
    let (_dir, store) = open(BOUNDS, PATIENCE);
    let thread = create(&store, "x");
    let blocker = direct(&store);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let impatient =
        ThreadStore::with_bounds(store.database.home().clone(), BOUNDS, Duration::from_millis(50));
    impatient.list_threads().unwrap();
    let error = impatient.continue_thread(&thread, MONTH).unwrap_err();
    assert_eq!(error.code(), "threads_locked");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| store.continue_thread(&thread, MONTH).unwrap());
        blocker.execute_batch("COMMIT").unwrap();
        waits.join().unwrap();
    });
    impatient.continue_thread(&thread, MONTH).unwrap();
}
