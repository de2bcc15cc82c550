use std::time::Instant;

use super::*;
use exai_tools::models::request::Role;
use exai_tools::threads::Thread;
use exai_tools::threads::history::{self, History};
use exai_tools::tokens;

fn thread_of(turns: Vec<NewTurn>) -> Thread {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "x").id;
    store.add_turns(&thread, &turns).unwrap();
    store.find_thread(&thread).unwrap()
}

fn user(text: &str, files: &[&str]) -> NewTurn {
    NewTurn { files: files.iter().map(ToString::to_string).collect(), ..NewTurn::of_user("chat", text) }
}

fn assistant(text: &str) -> NewTurn {
    NewTurn::of_assistant("chat", "m", "p", text)
}

fn said(history: &History) -> Vec<(Role, &str)> {
    history.messages.iter().map(|message| (message.role, message.text.as_str())).collect()
}

#[test]
fn the_newest_turns_that_fit_come_oldest_first() {
    let thread = thread_of(vec![
        user("one 789", &[]),
        assistant("two 789"),
        user("three", &[]),
        user("", &[]),
        user("five", &[]),
        assistant("six 789"),
    ]);
    let all = history::build(&thread, 1000);
    let expected = [
        (Role::User, "one 789"),
        (Role::Assistant, "two 789"),
        (Role::User, "three\n\nfive"),
        (Role::Assistant, "six 789"),
    ];
    assert_eq!((said(&all), &*all.left_out, all.is_cut), (expected.to_vec(), &[][..], false));
    // "six 789" and "three" take 2 tokens, and so does "five".
    let some = history::build(&thread, 7);
    assert_eq!((said(&some), &*some.left_out), (expected[2..].to_vec(), &[1, 2][..]));
    let some = history::build(&thread, 4);
    assert_eq!(said(&some), [(Role::User, "five"), (Role::Assistant, "six 789")]);
    assert_eq!(some.left_out, [1, 2, 3]);
}

#[test]
fn a_newest_turn_that_does_not_fit_is_cut() {
    let thread = thread_of(vec![user("question", &[]), assistant(&"ü".repeat(10_000))]);
    let history = history::build(&thread, 100);
    assert_eq!((history.left_out.as_slice(), history.is_cut), (&[1][..], true));
    let [message] = &history.messages[..] else { panic!("{history:?}") };
    assert!(message.text.ends_with(" more bytes of this are left out]"), "{}", message.text);
    assert!(tokens::estimate(&message.text) <= 100, "{}", message.text.len());
    let nothing = history::build(&thread, 5);
    assert_eq!((nothing.messages.as_slice(), nothing.left_out.as_slice()), (&[][..], &[1, 2][..]));
}

#[test]
fn each_file_is_named_once_the_newest_first() {
    let thread = thread_of(vec![user("a", &["/a", "/b"]), assistant("b"), user("", &["/c", "/a"])]);
    assert_eq!(history::build(&thread, 1000).files, ["/c", "/a", "/b"]);
    assert_eq!(history::build(&thread, 0).files, ["/c", "/a", "/b"]);
}

/// In a release build it takes 20 ms at most, here a tenth of a second is enough.
#[test]
fn a_thread_of_two_hundred_turns_is_rebuilt_at_once() {
    let place = Place::new();
    let store = place.store();
    let thread = create(&store, "x").id;
    let text = "Some words about a program. ".repeat(200);
    let turns: Vec<NewTurn> =
        (0..100).flat_map(|_| [user(&text, &["/a/b", "/c/d"]), assistant(&text)]).collect();
    store.add_turns(&thread, &turns).unwrap();
    // Other load on the machine makes it slower but never faster, so one fast time is enough.
    exai_test::eventually("200 turns within 200 ms", Duration::from_secs(20), || {
        let store = place.store();
        let begun = Instant::now();
        let found = store.continue_thread(&thread, MONTH).unwrap();
        let history = history::build(&found, 10_000_000);
        let took = begun.elapsed();
        assert_eq!(history.messages.len(), 200);
        eprintln!("a thread of 200 turns and {} KiB: {took:?}", 200 * text.len() / 1024);
        took < Duration::from_millis(200)
    });
}
