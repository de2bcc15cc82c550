use super::*;

#[test]
fn a_thread_that_is_unused_for_too_long_is_gone_and_is_removed() {
    let place = Place::new();
    let store = place.store();
    let (old, fresh) = (create(&store, "old"), create(&store, "fresh"));
    let age = |hours: u64| {
        let milliseconds = hours * 3_600_000;
        place.execute(&format!("UPDATE threads SET used_at = used_at - {milliseconds} WHERE title = 'old'"));
    };
    age(30 * 24 - 1);
    store.continue_thread(&old.id, MONTH).unwrap();
    age(30 * 24 + 1);
    assert_eq!(store.continue_thread(&old.id, MONTH).unwrap_err().code(), "thread_not_found");
    assert_eq!(store.list_threads().unwrap().len(), 2, "its time to be removed has not come");
    // As a process that has just started.
    place.store().continue_thread(&fresh.id, MONTH).unwrap();
    assert_eq!(store.list_threads().unwrap().len(), 1);
    assert_eq!(store.remove_unused(Duration::ZERO).unwrap_or_default(), 1);
}

#[test]
fn removed_text_is_not_in_the_files_any_more() {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "a very private question").id;
    store.add_turns(&thread, &[NewTurn::of_user("chat", "a very private answer")]).unwrap();
    store.remove_threads(&[thread]).unwrap();
    drop(store);
    let bytes = std::fs::read(place.home().database()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("very private"));
}
