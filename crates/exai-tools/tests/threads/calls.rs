use super::*;
use exai_tools::threads::{CallState, MAX_TEXT_BYTES};

#[test]
fn a_call_that_was_answered_is_answered_again_and_paid_once() {
    let place = Place::new();
    let (one, other) = (place.store(), place.store());
    let thread = create(&one, "x").id;
    let key = key("x");
    let reference = begin(&one, &call(&thread, &key));
    one.note_partial(&reference, "ans").unwrap();
    assert_eq!(
        other.begin_call(&call(&thread, &key)).unwrap(),
        CallStart::Running { reference: reference.clone(), here: true }
    );
    let found = other.find_call(&reference).unwrap();
    assert_eq!(found.state, CallState::Running { partial: "ans".to_owned(), here: true });
    let result = json!({"status": "success", "content": "answer"});
    finish(&one, &reference, &result);
    for pay_again in [false, true] {
        let again = NewCall { pay_again, ..call(&thread, &key) };
        let done = CallStart::Done { reference: reference.clone(), result: result.clone() };
        assert_eq!(other.begin_call(&again).unwrap(), done);
    }
    assert_eq!(other.find_call(&reference).unwrap().state, CallState::Done { result: result.clone() });
    let found = other.continue_thread(&thread, MONTH).unwrap();
    assert_eq!((found.facts.paid_calls, found.turns.len()), (1, 2));
    let twice = one.finish_call(&reference, &Finished { result: &result, paid: 1, turns: &[] });
    assert_eq!(twice.unwrap_err().code(), "call_ended");
    assert_eq!(one.find_thread(&thread).unwrap(), other.find_thread(&thread).unwrap());
}

#[test]
fn another_key_or_another_thread_is_another_call() {
    let place = Place::new();
    let store = place.store();
    let (one, other) = (create(&store, "x").id, create(&store, "x").id);
    let references = [(&one, key("x")), (&one, key("y")), (&other, key("x"))]
        .map(|(thread, key)| begin(&store, &call(thread, &key)));
    assert!(references[0] != references[1] && references[1] != references[2]);
}

#[test]
fn of_many_that_begin_the_same_call_at_once_one_makes_it() {
    let place = Place::new();
    let first = place.store();
    let thread = create(&first, "x").id;
    for round in 0..5 {
        let key = key(&format!("round {round}"));
        // Two share a connection, the others have their own, as processes have.
        let own = [place.store(), place.store(), place.store()];
        let stores = [&first, &first, &own[0], &own[1], &own[2]];
        let starts: Vec<CallStart> = std::thread::scope(|scope| {
            let running = stores.map(|store| {
                let (thread, key) = (&thread, &key);
                scope.spawn(move || store.begin_call(&call(thread, key)).unwrap())
            });
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let new: Vec<&String> = starts
            .iter()
            .filter_map(|start| match start {
                CallStart::New { reference } => Some(reference),
                _ => None,
            })
            .collect();
        assert_eq!(new.len(), 1, "{starts:?}");
        let running = CallStart::Running { reference: new[0].clone(), here: true };
        assert_eq!(starts.iter().filter(|start| **start == running).count(), 4, "{starts:?}");
    }
}

/// What becomes of the same call after it has ended without a result: what was paid, whether the agent was told, whether
/// it says `pay_again`.
#[test]
fn what_failed_or_was_cancelled_is_made_anew_if_nothing_was_paid_or_the_agent_knows() {
    #[derive(Debug, PartialEq)]
    enum Next {
        New,
        Failed,
        Interrupted,
    }
    let cases = [
        ("failed", 0, false, false, Next::New),
        ("failed", 1, false, false, Next::Failed),
        ("failed", 1, true, false, Next::New),
        ("failed", 1, false, true, Next::New),
        ("cancelled", 0, false, false, Next::New),
        ("cancelled", 1, false, false, Next::Interrupted),
        ("cancelled", 1, true, false, Next::Interrupted),
        ("cancelled", 1, false, true, Next::New),
    ];
    let place = Place::new();
    let store = place.store();
    let result = json!({"status": "error"});
    for (at, (how, paid, told, pay_again, expected)) in cases.into_iter().enumerate() {
        let (thread, key) = (create(&store, "x").id, key("x"));
        let reference = begin(&store, &call(&thread, &key));
        match how {
            "failed" => store.fail_call(&reference, &result, paid).unwrap(),
            _ => store.cancel_call(&reference, "par", paid).unwrap(),
        }
        if told {
            store.note_told(&reference).unwrap();
        }
        let again = NewCall { pay_again, ..call(&thread, &key) };
        let next = match store.begin_call(&again).unwrap() {
            CallStart::New { .. } => Next::New,
            CallStart::Failed { result: found, .. } if found == result => Next::Failed,
            CallStart::Interrupted { partial, .. } if partial == "par" => Next::Interrupted,
            other => panic!("case {at}: {other:?}"),
        };
        assert_eq!(next, expected, "case {at}");
        if expected == Next::Failed {
            begin(&store, &again);
        }
        assert_eq!(store.find_thread(&thread).unwrap().facts.paid_calls, paid, "case {at}");
    }
}

#[test]
fn a_thread_pays_for_no_more_calls_than_it_may() {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "x").id;
    let may = |what: &str, asks, max_paid| {
        let key = key(what);
        store.begin_call(&NewCall { asks, max_paid, ..call(&thread, &key) })
    };
    let reference = begin(&store, &NewCall { max_paid: 2, ..call(&thread, &key("1")) });
    assert!(matches!(may("2", 2, 2), Err(ThreadError::TooManyCalls { made: 1, max: 2 })), "one is under way");
    finish(&store, &reference, &json!({}));
    let reference = begin(&store, &NewCall { max_paid: 2, ..call(&thread, &key("2")) });
    store.fail_call(&reference, &json!({}), 0).unwrap();
    let CallStart::New { reference } = may("3", 1, 2).unwrap() else { panic!() };
    store.fail_call(&reference, &json!({}), 1).unwrap();
    let error = may("4", 1, 2).unwrap_err();
    assert_eq!(error.code(), "too_many_calls");
    assert_eq!(error.to_string(), "this thread has made 2 paid calls and may make 2");
    assert!(matches!(may("5", 0, 2), Ok(CallStart::New { .. })), "it costs nothing");
    assert!(matches!(may("1", 1, 2), Ok(CallStart::Done { .. })), "it was paid before");
}

#[test]
fn a_request_that_is_meant_anew_is_made_anew_once_its_answer_was_told() {
    let place = Place::new();
    let store = place.store();
    let (thread, key) = (create(&store, "x").id, key("go on"));
    let new = NewCall { repeatable: true, ..call(&thread, &key) };
    let reference = begin(&store, &new);
    finish(&store, &reference, &json!({"content": "first"}));
    assert!(matches!(store.begin_call(&new).unwrap(), CallStart::Done { .. }), "nobody has heard it");
    store.note_told(&reference).unwrap();
    assert_ne!(begin(&store, &new), reference);
}

#[test]
fn a_client_that_gave_up_before_it_knew_the_thread_finds_it_again() {
    let place = Place::new();
    let store = place.store();
    let key = key("x");
    let find = |client| store.find_unheard_thread(&key, client).unwrap();
    assert_eq!(find(Some("test")), None);
    let thread = create(&store, "x").id;
    let reference = begin(&store, &call(&thread, &key));
    assert_eq!(find(Some("test")), Some(thread.clone()), "it is running");
    assert_eq!(find(Some("another")), None);
    assert_eq!(find(None), None);
    finish(&store, &reference, &json!({}));
    assert_eq!(find(Some("test")), Some(thread.clone()), "nobody has heard how it ended");
    place.execute("UPDATE calls SET begun_at = begun_at - 2 * 3600 * 1000");
    assert_eq!(find(Some("test")), None, "that is too long ago");
    place.execute("UPDATE calls SET begun_at = begun_at + 2 * 3600 * 1000");
    store.note_told(&reference).unwrap();
    assert_eq!(find(Some("test")), None, "the same question is a new one now");
}

#[test]
fn what_is_too_long_is_cut_and_not_lost_after_it_was_paid() {
    let place = Place::new();
    let store = place.store();
    let (thread, key) = (create(&store, "x").id, key("x"));
    let reference = begin(&store, &call(&thread, &key));
    let long = "ü".repeat(MAX_TEXT_BYTES / 2 + 1);
    store.note_partial(&reference, &long).unwrap();
    let turns = [NewTurn::of_assistant("chat", "m", "p", long)];
    store.finish_call(&reference, &Finished { result: &json!({}), paid: 1, turns: &turns }).unwrap();
    let found = store.find_thread(&thread).unwrap();
    assert!(found.turns[0].text.ends_with("[cut here: the text had 8388610 bytes]"));
}

#[test]
fn the_calls_of_a_thread_go_with_it() {
    let place = Place::new();
    let store = place.store();
    let (thread, key) = (create(&store, "x").id, key("x"));
    let reference = begin(&store, &call(&thread, &key));
    store.remove_threads(std::slice::from_ref(&thread)).unwrap();
    let result = json!({});
    let late = store.finish_call(&reference, &Finished { result: &result, paid: 1, turns: &[] });
    assert_eq!(late.unwrap_err().code(), "call_not_found");
    assert_eq!(store.find_call(&reference).unwrap_err().code(), "call_not_found");
    assert_eq!(store.begin_call(&call(&thread, &key)).unwrap_err().code(), "thread_not_found");
}
