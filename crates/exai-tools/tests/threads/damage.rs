use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;

/// How many databases that were put aside are kept.
const KEPT: usize = 3;

/// Threads of many pages, and no store that has them open.
fn filled() -> (Place, String) {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "x").id;
    let turns = vec![NewTurn::of_user("chat", "some text ".repeat(2000)); 50];
    store.add_turns(&thread, &turns).unwrap();
    (place, thread)
}

fn overwrite(place: &Place, from: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(place.home().database()).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

/// The first thing that does not work.
fn use_it(place: &Place, thread: &str) -> Result<(), ThreadError> {
    let store = place.store();
    store.list_threads()?;
    store.continue_thread(thread, MONTH)?;
    store.begin_call(&call(thread, &key("x")))?;
    store.add_turns(thread, &[NewTurn::of_user("chat", "x".repeat(100_000))])
}

#[test]
fn a_damaged_file_is_named_and_reset_puts_it_aside() {
    type Damage = fn(&Place);
    let length = |place: &Place| std::fs::metadata(place.home().database()).unwrap().len();
    let damages: [(&str, Damage); 7] = [
        ("no database", |place| overwrite(place, 0, b"This is a text, and no database at all. ")),
        ("all but the first page", |place| overwrite(place, 4096, &vec![0x5a; 400_000])),
        ("zeros in the middle", |place| overwrite(place, 8192, &vec![0; 600_000])),
        ("cut in the middle", |place| {
            OpenOptions::new().write(true).open(place.home().database()).unwrap().set_len(100_000).unwrap();
        }),
        ("cut within a page", |place| {
            OpenOptions::new().write(true).open(place.home().database()).unwrap().set_len(5000).unwrap();
        }),
        ("without a table", |place| place.execute("DROP TABLE turns")),
        ("another program's", |place| place.execute("PRAGMA application_id = 7")),
    ];
    for (what, damage) in damages {
        let (place, thread) = filled();
        assert!(length(&place) > 900_000);
        damage(&place);
        let error = use_it(&place, &thread).expect_err(what);
        assert_eq!(error.code(), "threads_damaged", "{what}: {error}");
        assert!(error.to_string().contains("exai.db"), "{error}");
        assert!(error.hint().unwrap().contains("`exai threads reset`"));
        let aside = place.store().reset().unwrap().unwrap();
        assert!(aside.to.is_file() && aside.to.ends_with("backups/exai.1.db"), "{what}");
        assert_eq!(place.store().list_threads().unwrap(), [], "{what}");
        let store = place.store();
        let thread = create(&store, "y").id;
        finish(&store, &begin(&store, &call(&thread, &key("x"))), &json!({}));
    }
}

#[test]
fn what_no_exai_has_written_into_a_row_is_damage() {
    let damages = [
        "UPDATE turns SET role = 'system'",
        "UPDATE turns SET files = '['",
        "UPDATE turns SET step = 'x'",
        "UPDATE turns SET text = CAST(x'ff' AS TEXT)",
        "UPDATE threads SET paid_calls = -1",
        "UPDATE threads SET used_at = 9223372036854775807",
        "INSERT INTO turns SELECT thread, 51, role, tool, model, provider, text, step, files, at FROM turns LIMIT 1",
    ];
    for damage in damages {
        let (place, thread) = filled();
        place.execute(damage);
        assert_eq!(use_it(&place, &thread).expect_err(damage).code(), "threads_damaged", "{damage}");
    }
}

#[test]
fn a_reset_is_noticed_by_those_that_have_the_file_open() {
    let (place, thread) = filled();
    let store = place.store();
    store.continue_thread(&thread, MONTH).unwrap();
    if cfg!(windows) {
        // There a file that is in use cannot be put aside.
        assert!(place.store().reset().is_err());
        return;
    }
    for round in 1..=KEPT + 2 {
        let aside = place.store().reset().unwrap().unwrap();
        assert!(aside.to.ends_with(format!("backups/exai.{round}.db")));
        assert_eq!(aside.removed.len(), usize::from(round > KEPT));
        assert!(aside.removed.iter().all(|path| !path.exists()));
        assert_eq!(store.list_threads().unwrap(), []);
        let thread = create(&store, "y").id;
        assert_eq!(place.store().list_threads().unwrap()[0].id, thread);
    }
    let first = Connection::open(place.home().backups_dir().join("exai.3.db")).unwrap();
    let titles: u32 = first.query_row("SELECT count(*) FROM threads", [], |row| row.get(0)).unwrap();
    assert_eq!(titles, 1, "what was put aside is whole");
}

#[test]
fn a_newer_file_is_left_as_it_is() {
    let (place, thread) = filled();
    let open = place.store();
    open.list_threads().unwrap();
    place.execute("PRAGMA user_version = 99");
    for store in [open, place.store()] {
        let error = store.continue_thread(&thread, MONTH).unwrap_err();
        assert_eq!(error.code(), "threads_newer");
        assert!(error.to_string().contains("is from a newer exai (version 99 of its tables"), "{error}");
    }
    place.execute("PRAGMA user_version = 1");
    place.store().continue_thread(&thread, MONTH).unwrap();
}

#[test]
fn only_a_file_of_this_account_is_opened() {
    for name in ["exai.db", "exai.db-wal", "exai.db-shm", "exai.db-journal", "exai.db.lock"] {
        let (place, thread) = filled();
        let path = place.home().path().join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir(&path).unwrap();
        let error = use_it(&place, &thread).expect_err(name);
        assert!(matches!(error.code(), "threads_refused" | "threads_unusable"), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_the_files_are_private() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let (place, thread) = filled();
    let store = place.store();
    store.continue_thread(&thread, MONTH).unwrap();
    for name in ["exai.db", "exai.db-wal", "exai.db-shm"] {
        let mode = std::fs::metadata(place.home().path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
    let elsewhere = place.dir.path().join("elsewhere");
    for name in ["exai.db", "exai.db-wal", "exai.db.lock"] {
        let path = place.home().path().join(name);
        let _ = std::fs::rename(&path, &elsewhere);
        std::fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, &path).unwrap();
        let error = use_it(&place, &thread).expect_err(name);
        assert_eq!(error.code(), "threads_refused", "{name}: {error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("symbolic link"), "{error}");
        assert!(error.hint().unwrap().contains("mv "), "{error}");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
    }
}
