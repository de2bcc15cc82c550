//! The order in which the requests of several clients reach a server, and the fate of requests that wait.

use std::time::Duration;

use bytes::Bytes;
use exai_mux::{ClientId, Effect, Endpoint, Event, InstanceId, Unsent};
use serde_json::Value;

use crate::support::{Bench, initialize, message, only, policy};

fn call(id: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"n":{id}}},"_meta":{{"progressToken":"p{id}"}}}}}}"#
    )
}

/// The arguments `n` of the calls that go to the server, in order.
fn sent(lines: &[String]) -> Vec<u64> {
    let calls = lines.iter().filter(|line| line.starts_with("server") && line.contains("tools/call"));
    calls
        .map(|line| {
            let call: Value =
                serde_json::from_str(line.split_once("<- ").expect("a message").1).expect("JSON");
            call["params"]["arguments"]["n"].as_u64().expect("a number")
        })
        .collect()
}

/// A router to which client 1 has sent `calls` calls for server a, with client 2 attached too; and the calls that were
/// passed on.
fn flooded(calls: u64) -> (Bench, Vec<u64>) {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    let sent = (0..calls).flat_map(|id| sent(&bench.says(1, &call(id)))).collect();
    (bench, sent)
}

/// The server answers call number `number`, counted from 0 in the order in which the calls reached it.
fn answer(bench: &mut Bench, number: u64) -> Vec<String> {
    bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, number + 2))
}

#[test]
fn a_flood_waits_and_others_have_their_share_at_once() {
    let (mut bench, first) = flooded(100);
    assert_eq!(first, (0..64).collect::<Vec<_>>());
    let of_two: Vec<u64> = (500..506).flat_map(|id| sent(&bench.says(2, &call(id)))).collect();
    assert_eq!(of_two, [500, 501, 502, 503]);
    // The first four answers bring client 1 down to its share. From then on the clients take turns.
    let turns: Vec<u64> = (0..8).flat_map(|number| sent(&answer(&mut bench, number))).collect();
    assert_eq!(turns, [64, 504, 65, 505]);
    assert_eq!(bench.router.servers(bench.now)[0].instances[0].waiting, 34);
}

#[test]
fn who_waits_can_cancel_leave_and_be_told_that_it_takes_too_long() {
    let (mut bench, _) = flooded(67);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":64}}"#;
    assert_eq!(bench.says(1, cancel), ["dropped 1 64"], "the server never heard of it");
    let told = bench.passes(Duration::from_secs(15));
    assert_eq!(told.len(), 2);
    for line in told {
        let error = &only(&[line], "client 1")["error"];
        assert_eq!((&error["code"], &error["data"]["sent"]), (&(-31003).into(), &false.into()));
    }
    let (mut bench, _) = flooded(67);
    assert!(bench.router.is_busy());
    bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(bench.router.servers(bench.now)[0].instances[0].waiting, 0);
    assert!(!bench.router.is_busy());
    // A request whose client has left still counts until the server has answered it.
    bench.says(2, &call(900));
    assert_eq!(sent(&answer(&mut bench, 64)), [0; 0]);
}

#[test]
fn what_waits_when_the_server_dies_goes_to_its_next_run() {
    let (mut bench, _) = flooded(66);
    let lines = bench.down(0, "was killed");
    let codes = lines.iter().filter(|line| line.contains("-31005")).count();
    assert_eq!((codes, lines.len()), (64, 65), "the rest is started for: {lines:?}");
    assert_eq!(lines[64], "start a#2 as 1");
    assert_eq!(sent(&bench.ready(1)), [64, 65]);
    for number in [2, 3] {
        bench.server_says(1, &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#));
    }
    assert!(!bench.router.is_busy());
}

#[test]
fn what_could_not_be_written_to_a_dying_server_goes_to_its_next_run_as_it_came() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::All);
    bench.says(1, &initialize("{}"));
    let call = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a__do__it","_meta":{"progressToken":7}}}"#;
    bench.says(1, call);
    let effects = {
        bench.up(0);
        let said = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, crate::support::server_result());
        bench.event(Event::FromServer { instance: InstanceId(0), message: message(&said) })
    };
    let unsent = effects.into_iter().find_map(|effect| match effect {
        Effect::ToServer { bytes, number: Some(number), .. }
            if bytes.as_whole().expect("it is short").windows(6).any(|part| part == b"do__it") =>
        {
            Some((number, bytes))
        }
        _ => None,
    });
    let (number, bytes) = unsent.expect("the call");
    let why = Unsent::Ending(bytes);
    assert_eq!(bench.does(Event::Unsent { instance: InstanceId(0), number, why }), [""; 0]);
    assert!(bench.router.is_busy(), "it waits");
    assert_eq!(bench.says(1, &call.replace("\"x\"", "\"y\"")), [""; 0], "and so does what comes then");
    assert_eq!(bench.down(0, "was killed"), ["start a#2 as 1"]);
    let lines = bench.ready(1);
    let again = only(&lines[2..3], "server 1");
    assert_eq!(again["params"]["name"], "do__it", "its name is the server's own already");
    let number = again["id"].as_u64().expect("a number");
    assert_eq!(again["params"]["_meta"]["progressToken"].as_u64(), Some(number));
    assert_eq!(only(&lines[3..4], "server 1")["params"]["name"], "do__it");
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{number},"progress":1}}}}"#
    );
    assert_eq!(only(&bench.server_says(1, &progress), "client 1")["params"]["progressToken"], 7);
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#);
    assert_eq!(only(&bench.server_says(1, &answer), "client 1")["id"], "x");
}

#[test]
fn what_waits_for_a_changed_server_goes_to_the_new_one() {
    let (mut bench, _) = flooded(66);
    let changed = exai_mux::policy::Policy { revision: 2, ..policy("a") };
    let lines = bench.does(Event::Configured { policies: vec![changed] });
    assert!(lines.contains(&"start a#2 as 1".to_owned()), "{lines:?}");
    assert_eq!(sent(&bench.ready(1)), [64, 65]);
}

#[test]
fn who_waits_for_the_end_of_a_server_does_not_wait_for_ever_when_it_does_not_end() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, &call(1));
    let why = Unsent::Ending(Bytes::from(call(1)).into());
    assert_eq!(bench.does(Event::Unsent { instance: InstanceId(0), number: 2, why }), [""; 0]);
    assert!(bench.router.next_tick(bench.now).is_some(), "somebody must look when its time is over");
    assert_eq!(only(&bench.passes(Duration::from_secs(16)), "client 1")["error"]["code"], -31003);
    assert_eq!(bench.router.next_tick(bench.now), None);
}

#[test]
fn a_place_at_a_server_that_does_not_read_goes_to_the_next() {
    let (mut bench, _) = flooded(70);
    let told = bench.does(Event::Unsent { instance: InstanceId(0), number: 2, why: Unsent::Full });
    assert_eq!(only(&told[..1], "client 1")["error"]["code"], -31003);
    assert_eq!(sent(&told), [64], "nobody waits for an answer that may not come");
}
