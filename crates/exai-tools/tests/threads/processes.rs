//! Threads in another process: this test program again, with one test that is not run otherwise.

use std::path::Path;
use std::process::{Command, Stdio};

use exai_test::eventually;

use super::*;
use exai_tools::threads::CallState;

/// What shows a child in which directory it was started.
const MARK: &str = "for-a-child";
const LIMIT: Duration = Duration::from_secs(20);

/// A command that runs one test of this file in the directory, which gets a mark.
fn child(test: &str, directory: &Path, before: &[&str]) -> Command {
    std::fs::write(directory.join(MARK), "").unwrap();
    let program = std::env::current_exe().unwrap();
    let test = format!("processes::{test}");
    let mut words: Vec<&std::ffi::OsStr> = before.iter().map(std::ffi::OsStr::new).collect();
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--exact", &test, "--ignored", "--nocapture"]).current_dir(directory);
    command.stdin(Stdio::null());
    command
}

/// The threads in the working directory of a child; `None` if no other test has started it.
fn own_store() -> Option<ThreadStore> {
    Path::new(MARK)
        .exists()
        .then(|| ThreadStore::new(Home::at(std::env::current_dir().unwrap().join("home"))))
}

#[test]
#[ignore = "a child of another test"]
fn begins_a_call_and_stays() {
    let Some(store) = own_store() else { return };
    let thread = store.list_threads().unwrap().remove(0).id;
    let reference = begin(&store, &call(&thread, &key("x")));
    store.note_partial(&reference, "half of an ans").unwrap();
    std::thread::sleep(Duration::from_mins(1));
}

#[test]
fn a_call_whose_process_is_killed_is_paid_again_only_if_the_agent_says_so() {
    let place = Place::new();
    let store = place.store();
    let (thread, key) = (create(&store, "x").id, key("x"));
    let new = call(&thread, &key);
    let mut owner =
        child("begins_a_call_and_stays", place.dir.path(), &[]).stdout(Stdio::null()).spawn().unwrap();
    // Until the child has begun the call, this would begin it.
    let begun = || {
        let found: u32 = Connection::open(place.home().database())
            .unwrap()
            .query_row("SELECT count(*) FROM calls WHERE partial <> ''", [], |row| row.get(0))
            .unwrap();
        found == 1
    };
    eventually("the child has begun the call", LIMIT, begun);
    let CallStart::Running { reference, here: false } = store.begin_call(&new).unwrap() else {
        panic!("the child makes the call");
    };
    let partial = "half of an ans".to_owned();
    let call = store.wait_call(&reference, Duration::from_millis(1)).unwrap();
    assert_eq!(call.state, CallState::Running { partial: partial.clone(), here: false });

    std::thread::scope(|scope| {
        let waits = scope.spawn(|| store.wait_call(&reference, LIMIT).unwrap());
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert_eq!(waits.join().unwrap().state, CallState::Interrupted { partial: partial.clone() });
    });
    for _ in 0..2 {
        let interrupted = CallStart::Interrupted { reference: reference.clone(), partial: partial.clone() };
        assert_eq!(store.begin_call(&new).unwrap(), interrupted);
    }
    let full = store.begin_call(&NewCall { key: &super::key("y"), max_paid: 1, ..new });
    assert_eq!(full.unwrap_err().code(), "too_many_calls", "it may have been paid");
    let again = begin(&store, &NewCall { pay_again: true, ..new });
    assert_ne!(again, reference);
    assert!(matches!(store.begin_call(&new).unwrap(), CallStart::Running { here: true, .. }));
    finish(&store, &again, &json!({}));
    assert_eq!(store.find_thread(&thread).unwrap().facts.paid_calls, 2, "both were paid");
    assert_eq!(store.find_call(&reference).unwrap().state, CallState::Interrupted { partial });
    let late = store.fail_call(&reference, &json!({}), 1).unwrap_err();
    assert_eq!(late.code(), "call_ended");
}

#[test]
#[ignore = "a child of another test"]
fn adds_turns_without_end() {
    let Some(store) = own_store() else { return };
    let thread = store.list_threads().unwrap().remove(0).id;
    for at in 0.. {
        let turns = [
            NewTurn::of_user("chat", format!("{at} ").repeat(2000)),
            NewTurn::of_user("chat", at.to_string()),
        ];
        if store.add_turns(&thread, &turns).is_err() {
            return;
        }
    }
}

#[test]
fn a_process_that_is_killed_while_it_writes_leaves_whole_turns() {
    let place = Place::new();
    let store = place.store();
    for _ in 0..3 {
        let thread = create(&store, "x").id;
        place.execute(&format!("DELETE FROM threads WHERE id <> '{thread}'"));
        let mut writer =
            child("adds_turns_without_end", place.dir.path(), &[]).stdout(Stdio::null()).spawn().unwrap();
        eventually("something is written", LIMIT, || {
            store.find_thread(&thread).is_ok_and(|thread| thread.facts.turn_count >= 6)
        });
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = store.continue_thread(&thread, MONTH).unwrap();
        assert_eq!(found.turns.len() % 2, 0, "both turns or none");
        assert_eq!(found.turns.len(), found.facts.turn_count as usize);
        let numbers: Vec<u32> = found.turns.iter().map(|turn| turn.number).collect();
        assert_eq!(numbers, (1..=found.facts.turn_count).collect::<Vec<_>>());
    }
}

#[test]
#[ignore = "a child of another test"]
fn fills_the_disk_and_makes_room() {
    let Some(store) = own_store() else { return };
    let thread = create(&store, "x").id;
    let reference = begin(&store, &call(&thread, &key("x")));
    let filler = std::env::current_dir().unwrap().join("filler");
    let fill = |store: &ThreadStore| {
        let _ = std::fs::write(&filler, vec![1; 8 << 20]);
        let turns = [NewTurn::of_user("chat", "x".repeat(3 << 20))];
        let error = store
            .finish_call(&reference, &Finished { result: &json!({}), paid: 1, turns: &turns })
            .unwrap_err();
        assert_eq!(error.code(), "disk_full", "{error}");
        assert!(error.to_string().contains("exai.db") && error.hint().unwrap().contains("room"), "{error}");
        turns
    };
    fill(&store);
    assert_eq!(store.list_threads().unwrap()[0].turn_count, 0, "what is there can be read");
    // A process that starts on the full disk.
    let other = own_store().unwrap();
    let turns = fill(&other);
    std::fs::remove_file(&filler).unwrap();
    for store in [&store, &other] {
        assert!(matches!(store.begin_call(&call(&thread, &key("x"))).unwrap(), CallStart::Running { .. }));
    }
    store.finish_call(&reference, &Finished { result: &json!({}), paid: 1, turns: &turns }).unwrap();
    assert_eq!(other.find_thread(&thread).unwrap().facts.turn_count, 1);
    // The same where the file itself has no room.
    let aside = store.reset().unwrap().unwrap().to;
    std::fs::remove_file(aside).unwrap();
    let _ = std::fs::write(&filler, vec![1; 8 << 20]);
    let new = NewThread { tool: "chat", request: "x", client: None };
    let error = other.create_thread(&new, MONTH).unwrap_err();
    assert_eq!(error.code(), "disk_full", "{error}");
    std::fs::remove_file(&filler).unwrap();
    other.create_thread(&new, MONTH).unwrap();
    std::fs::write("passed", "").unwrap();
}

#[test]
fn a_full_disk_is_named_and_everything_goes_on_when_there_is_room() {
    let place = Place::new();
    let script = "mount -t tmpfs -o size=6m,mode=700 none . || exit 9
                  cd . && cd \"$PWD\" && touch for-a-child && \"$@\" && test -e passed";
    let before = ["unshare", "--mount", "sh", "-c", script, "sh"];
    let Ok(output) = child("fills_the_disk_and_makes_room", place.dir.path(), &before).output() else {
        eprintln!("skipped: there is no unshare");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(9 | 1) if said.contains("permi") || said.contains("not permitted") => {
            eprintln!("skipped: this account may not mount: {said}");
        }
        Some(0) => {}
        code => panic!("{code:?}: {said}"),
    }
}
