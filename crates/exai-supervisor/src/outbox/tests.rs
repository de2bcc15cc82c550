use super::*;
use bytes::Bytes;

fn texts(batch: &[Segments]) -> Vec<String> {
    let text = |message: &Segments| String::from_utf8_lossy(&message.clone().into_whole()).into_owned();
    batch.iter().map(text).collect()
}

#[tokio::test]
async fn batches_come_in_order_and_bytes_are_bounded_until_they_are_written() {
    let (outbox, mut drain) = outbox(10);
    outbox.push(Bytes::from_static(b"12345")).unwrap();
    outbox.push(Bytes::from_static(b"678")).unwrap();
    assert_eq!(outbox.push(Bytes::from_static(b"901")), Err(Unsent::Full { queued: 8 }));
    let mut batch = Vec::new();
    assert!(drain.take(&mut batch).await);
    assert_eq!(texts(&batch), ["12345", "678"]);
    assert_eq!(outbox.queued(), 8, "a batch counts until the next one is asked for");
    outbox.close();
    batch.clear();
    assert!(!drain.take(&mut batch).await);
    assert_eq!(outbox.queued(), 0);
}

#[test]
fn little_that_waits_admits_a_message_of_any_size_and_much_only_what_fits() {
    let bound = Bound { relaxed: 4, ..Bound::from(24) };
    for (waiting, message, admitted) in
        [(0, 32, true), (4, 32, true), (5, 19, true), (5, 20, false), (24, 0, true), (36, 1, false)]
    {
        assert_eq!(bound.admits(waiting, message), admitted, "{waiting} + {message}");
    }
    let plain = Bound::from(10);
    assert!(plain.admits(0, 11) && plain.admits(1, 9) && !plain.admits(1, 10));
}

#[tokio::test]
async fn messages_are_counted_as_well_as_their_bytes() {
    let (outbox, mut drain) = outbox(Bound { messages: 2, ..Bound::from(100) });
    let push = |text: &'static str| outbox.push(Bytes::from_static(text.as_bytes()));
    push("a").unwrap();
    outbox.push_latest(b"n", Bytes::from_static(b"b")).unwrap();
    assert_eq!(push("c"), Err(Unsent::Full { queued: 2 }));
    let mut batch = Vec::new();
    assert!(drain.take(&mut batch).await);
    push("d").unwrap();
    push("e").unwrap();
    assert!(push("f").is_err());
}

#[tokio::test]
async fn one_message_is_taken_whatever_its_size_and_nothing_after_the_end() {
    let (outbox, drain) = outbox(1);
    outbox.push(Bytes::from_static(b"larger than the limit")).unwrap();
    drop(drain);
    assert_eq!(outbox.queued(), 0);
    assert_eq!(outbox.push(Bytes::from_static(b"into the void")), Err(Unsent::Closed));
    assert_eq!(outbox.queued(), 0);
}

#[tokio::test]
async fn what_waits_can_be_dropped_but_not_what_is_being_written() {
    let (outbox, mut drain) = outbox(10);
    outbox.push(Bytes::from_static(b"123")).unwrap();
    let mut batch = Vec::new();
    assert!(drain.take(&mut batch).await);
    outbox.push(Bytes::from_static(b"4567")).unwrap();
    outbox.clear();
    assert_eq!(outbox.queued(), 3);
    outbox.push(Bytes::from_static(b"89")).unwrap();
    batch.clear();
    assert!(drain.take(&mut batch).await);
    assert_eq!((texts(&batch), outbox.queued()), (vec!["89".to_owned()], 2));
}

async fn drained(outbox: &Outbox, drain: &mut Drain) -> Vec<String> {
    let mut batch = Vec::new();
    assert!(drain.take(&mut batch).await);
    assert_eq!(outbox.queued(), batch.iter().map(Segments::len).sum::<usize>());
    texts(&batch)
}

#[tokio::test]
async fn news_replaces_what_still_waits_of_its_kind_and_overtakes_nothing() {
    let (outbox, mut drain) = outbox(1000);
    outbox.push_latest(b"a", Bytes::from_static(b"a1")).unwrap();
    outbox.push(Bytes::from_static(b"answer")).unwrap();
    outbox.push_latest(b"b", Bytes::from_static(b"b1")).unwrap();
    // If this message came before the answer, it would announce a change that the answer does not contain.
    outbox.push_latest(b"a", Bytes::from_static(b"a2")).unwrap();
    assert!(!outbox.is_stalled());
    assert_eq!(drained(&outbox, &mut drain).await, ["answer", "b1", "a2"]);
    assert!(outbox.is_stalled());
    outbox.push_latest(b"a", Bytes::from_static(b"a3")).unwrap();
    assert_eq!(drained(&outbox, &mut drain).await, ["a3"], "what is being written is left alone");
}

#[tokio::test]
async fn of_many_messages_of_little_use_the_newest_stay_and_the_others_are_counted() {
    let (outbox, mut drain) = outbox(1000);
    let log = |text: &'static str| outbox.push_expendable(Bytes::from_static(text.as_bytes()), 2).unwrap();
    assert_eq!((log("one"), log("two")), (0, 0));
    outbox.push(Bytes::from_static(b"answer")).unwrap();
    assert_eq!((log("three"), log("four")), (1, 2));
    assert_eq!(drained(&outbox, &mut drain).await, ["answer", "three", "four"]);
    assert_eq!((log("five"), log("six"), log("seven")), (0, 0, 1), "counted anew for each batch");
    outbox.clear();
    assert_eq!(log("eight"), 0);
}

#[tokio::test]
async fn a_reader_that_stands_still_costs_no_more_than_what_waits_for_it() {
    let (outbox, mut drain) = outbox(1_000_000);
    outbox.push(Bytes::from_static(b"first")).unwrap();
    for number in 0..10_000 {
        let text = |what: &str| Bytes::from(format!("{what} {number}"));
        outbox.push_latest(b"p", text("progress")).unwrap();
        outbox.push_expendable(text("log"), 3).unwrap();
    }
    outbox.push(Bytes::from_static(b"last")).unwrap();
    let room = outbox.shared.state().queue.len();
    assert!(room < 4 * MAX_GAPS, "{room}");
    let expected = ["first", "log 9997", "log 9998", "progress 9999", "log 9999", "last"];
    assert_eq!(drained(&outbox, &mut drain).await, expected);
}

#[tokio::test]
async fn all_who_wait_for_the_end_hear_of_it_from_either_side() {
    let (filled, drain) = outbox(1);
    let other = filled.clone();
    tokio::join!(filled.closed(), other.closed(), async { drop(drain) });
    filled.closed().await;
    let (filled, _drain) = outbox(1);
    tokio::join!(filled.closed(), async { filled.close() });
    filled.closed().await;
}
