use super::*;
use exai_tools::models::request::Role;
use exai_tools::threads::{MAX_TEXT_BYTES, MAX_TURNS};

#[test]
fn nothing_is_opened_before_it_is_used_and_to_look_creates_nothing() {
    let place = Place::new();
    let store = place.store();
    assert_eq!(store.list_threads().unwrap(), []);
    assert_eq!(store.find_thread("ab").unwrap_err().code(), "thread_not_found");
    assert_eq!(store.find_call("ab").unwrap_err().code(), "call_not_found");
    assert_eq!(store.remove_unused(Duration::ZERO).unwrap(), 0);
    assert_eq!(store.remove_threads(&["ab".to_owned()]).unwrap_err().code(), "thread_not_found");
    assert_eq!(store.reset().unwrap(), None);
    assert!(!place.home().path().exists());
}

#[test]
fn a_thread_is_continued_by_another_process_with_all_that_was_said() {
    let place = Place::new();
    let (one, other) = (place.store(), place.store());
    let thread = create(&one, "Why?\nMore");
    assert_eq!((thread.title.as_str(), thread.client.as_deref()), ("Why?", Some("test")));
    let turn = NewTurn {
        step: Some(json!({"step_number": 1})),
        files: vec!["/a".to_owned(), "/b".to_owned()],
        ..NewTurn::of_user("debug", "ü\0\u{1b}")
    };
    one.add_turns(&thread.id, &[turn, NewTurn::of_assistant("debug", "glm-5", "glm", "")]).unwrap();
    let found = other.continue_thread(&format!(" {} ", thread.id.to_uppercase()), MONTH).unwrap();
    let [first, second] = &found.turns[..] else { panic!("{found:?}") };
    assert_eq!((first.number, first.role, first.text.as_str()), (1, Role::User, "ü\0\u{1b}"));
    assert_eq!((first.step.as_ref(), first.files.len()), (Some(&json!({"step_number": 1})), 2));
    assert_eq!((second.number, second.role, second.model.as_deref()), (2, Role::Assistant, Some("glm-5")));
    assert_eq!(found.facts.turn_count, 2);
    assert_eq!(other.find_thread(&thread.id[..8]).unwrap().turns, found.turns);
}

#[test]
fn an_unknown_thread_says_what_to_do() {
    let place = Place::new();
    let store = place.store();
    create(&store, "x");
    let long = "x".repeat(1000);
    for id in ["", "8d0e", long.as_str(), "%", "' OR 1"] {
        for error in [store.continue_thread(id, MONTH).unwrap_err(), store.find_thread(id).unwrap_err()] {
            assert_eq!(error.code(), "thread_not_found");
            assert!(error.hint().unwrap().contains("without continuation_id"));
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
    let error = store.add_turns("8d0e", &[NewTurn::of_user("chat", "x")]).unwrap_err();
    assert_eq!(error.code(), "thread_not_found");
}

#[test]
fn a_beginning_that_fits_two_threads_is_refused_and_removes_none() {
    let place = Place::new();
    let store = place.store();
    let (one, other) = (create(&store, "x"), create(&store, "y"));
    place.execute(&format!(
        "UPDATE threads SET id = 'ab' || substr(id, 3) WHERE id IN ('{}', '{}')",
        one.id, other.id
    ));
    assert_eq!(store.find_thread("ab").unwrap_err().to_string(), "2 threads begin with ab");
    let whole = format!("ab{}", &one.id[2..]);
    let error = store.remove_threads(&[whole.clone(), "ab".to_owned()]).unwrap_err();
    assert_eq!((error.code(), store.list_threads().unwrap().len()), ("thread_ambiguous", 2));
    let removed = store.remove_threads(&[whole.clone(), whole]).unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(store.list_threads().unwrap().len(), 1);
}

#[test]
fn a_thread_that_is_full_says_so_before_anything_is_paid() {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "x");
    let turns = vec![NewTurn::of_user("planner", "step"); MAX_TURNS as usize - 1];
    store.add_turns(&thread.id, &turns).unwrap();
    assert_eq!(store.begin_call(&call(&thread.id, &key("x"))).unwrap_err().code(), "too_many_turns");
    store.add_turns(&thread.id, &turns[..1]).unwrap();
    let error = store.add_turns(&thread.id, &turns[..1]).unwrap_err();
    assert_eq!(error.to_string(), "this thread is full: a thread has at most 500 turns and 128 MiB");

    let thread = create(&store, "y");
    let error = store.add_turns(&thread.id, &[NewTurn::of_user("chat", "x".repeat(MAX_TEXT_BYTES + 1))]);
    assert_eq!(error.unwrap_err().code(), "turn_too_long");
    place.execute("UPDATE threads SET bytes = 200 << 20");
    assert_eq!(store.begin_call(&call(&thread.id, &key("x"))).unwrap_err().code(), "too_many_turns");
}
