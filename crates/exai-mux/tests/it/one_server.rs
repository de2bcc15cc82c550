//! The endpoint of one server: every message passes, and the router changes nothing but ids and tokens.

use std::time::Duration;

use exai_mux::{Effect, Event, InstanceId};

use crate::support::{Bench, only, policy, server_result};

#[test]
fn a_server_is_started_once_initialised_once_and_its_result_is_replayed_in_the_clients_version() {
    let mut bench = Bench::new(vec![policy("a")]);
    assert_eq!(bench.introduced(1, "a", "{}"), ["start a#1 as 0"]);
    assert_eq!(bench.introduced(2, "a", "{}"), [""; 0], "the second client waits for the same start");
    let hello = only(&bench.up(0), "server 0");
    assert_eq!(
        (hello["method"].as_str(), hello["params"]["protocolVersion"].as_str()),
        (Some("initialize"), Some("2025-11-25"))
    );
    let lines = bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, server_result()));
    assert_eq!(lines[0], r#"server 0 <- {"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(lines[1], "ready 0");
    let expected = server_result().replace("2025-11-25", "2025-06-18");
    for (line, client) in [(2, 1), (3, 2)] {
        assert_eq!(
            lines[line],
            format!(r#"client {client} <- {{"jsonrpc":"2.0","id":0,"result":{expected}}}"#)
        );
    }
    assert_eq!(bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), [""; 0]);
}

#[test]
fn colliding_ids_and_tokens_of_two_clients_are_kept_apart_and_every_other_byte_passes() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    let call = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"x":1.0,"y":[1e2]}},"_meta":{{"progressToken":"p","v":0}}}},"extra":null}}"#
        )
    };
    let sent = |number: u64| {
        format!(
            r#"server 0 <- {{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"t","arguments":{{"x":1.0,"y":[1e2]}},"_meta":{{"progressToken":{number},"v":0}}}},"extra":null}}"#
        )
    };
    assert_eq!(bench.says(1, &call("7")), [sent(2)]);
    assert_eq!(bench.says(2, &call("7")), [sent(3)]);
    assert_eq!(bench.says(1, &call(r#""7""#)), [sent(4)]);
    let progress = |token: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1.0}}}}"#
        )
    };
    assert_eq!(bench.server_says(0, &progress("3")), [format!("client 2 <- {}", progress(r#""p""#))]);
    let answer = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"z":1.50}}}}"#);
    assert_eq!(bench.server_says(0, &answer("4")), [format!("client 1 <- {}", answer(r#""7""#))]);
    assert_eq!(bench.server_says(0, &answer("3")), [format!("client 2 <- {}", answer("7"))]);
    assert_eq!(bench.server_says(0, &answer("2")), [format!("client 1 <- {}", answer("7"))]);
    for late in [answer("2"), answer("99"), progress("3"), answer("null")] {
        assert_eq!(bench.server_says(0, &late), [""; 0], "{late}");
    }
}

#[test]
fn a_client_cancels_only_what_is_its_own_and_what_the_server_still_says_passes() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    bench.says(1, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
    let cancel = |id: u64| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"r"}}}}"#
        )
    };
    assert_eq!(bench.says(2, &cancel(5)), [""; 0]);
    assert_eq!(bench.says(1, &cancel(5)), [format!("server 0 <- {}", cancel(2))]);
    let answer = only(
        &bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"error":{"code":0,"message":"cancelled"}}"#),
        "client 1",
    );
    assert_eq!(answer["id"], 5);
}

#[test]
fn ping_is_answered_here_and_nothing_else_before_the_client_has_introduced_itself() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, exai_mux::Endpoint::One("a".into()));
    assert_eq!(
        bench.says(1, r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#),
        [r#"client 1 <- {"jsonrpc":"2.0","id":"p","result":{}}"#]
    );
    let answer = only(
        &bench.says(1, r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{}}"#),
        "client 1",
    );
    assert_eq!(answer["error"]["code"], -32602, "it does not say which revision it is written in");
    let answer = only(&bench.says(1, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#), "client 1");
    assert_eq!(answer["error"]["code"], -32600, "nothing before initialize");
}

#[test]
fn log_level_is_the_most_verbose_and_each_client_gets_what_it_asked_for() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    let set = |level: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{{"level":"{level}"}}}}"#)
    };
    assert_eq!(only(&bench.says(1, &set("debug")), "server 0")["params"]["level"], "debug");
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(
        only(&bench.says(2, &set("error")), "server 0")["params"]["level"],
        "debug",
        "client 1 still wants it"
    );
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    let log = |level: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":"x"}}}}"#
        )
    };
    assert_eq!(bench.server_says(0, &log("info")), [format!("client 1 <- {}", log("info"))]);
    assert_eq!(bench.server_says(0, &log("error")).len(), 2);
}

#[test]
fn a_resource_is_subscribed_once_heard_by_its_subscribers_and_dropped_with_the_last() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    let ask = |what: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":4,"method":"resources/{what}","params":{{"uri":"r://x"}}}}"#)
    };
    assert_eq!(bench.says(1, &ask("subscribe")).len(), 1);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(bench.says(2, &ask("subscribe")), [r#"client 2 <- {"jsonrpc":"2.0","id":4,"result":{}}"#]);
    let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"r://x"}}"#;
    assert_eq!(bench.server_says(0, updated).len(), 2);
    assert_eq!(bench.says(1, &ask("unsubscribe")), [r#"client 1 <- {"jsonrpc":"2.0","id":4,"result":{}}"#]);
    assert_eq!(bench.server_says(0, updated), [format!("client 2 <- {updated}")]);
    let gone = bench.does(exai_mux::Event::Closed { client: exai_mux::ClientId(2) });
    assert_eq!(only(&gone, "server 0")["method"], "resources/unsubscribe");
    assert_eq!(bench.server_says(0, updated), [""; 0]);
}

#[test]
fn silence_times_a_call_out_and_progress_resets_the_clock() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":1}}}"#);
    assert_eq!(bench.passes(Duration::from_secs(59)), [""; 0]);
    bench.server_says(
        0,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}"#,
    );
    assert_eq!(bench.passes(Duration::from_secs(59)), [""; 0]);
    let lines = bench.passes(Duration::from_secs(2));
    assert_eq!(only(&lines, "server 0")["params"]["requestId"], 2);
    let error = &only(&lines, "client 1")["error"];
    assert_eq!(error["code"], -31004);
    assert_eq!(error["data"]["tool"], "slow");
    assert_eq!(
        bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#),
        [""; 0],
        "too late is too late"
    );
}

#[test]
fn blocked_tools_are_not_listed_and_not_called() {
    let mut rules = policy("a");
    rules.tools.deny = vec!["rm*".into()];
    let mut bench = Bench::new(vec![rules]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    let error = only(
        &bench.says(1, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"rmdir"}}"#),
        "client 1",
    );
    assert_eq!(error["error"]["code"], -31008);
    bench.says(1, r#"{"jsonrpc":"2.0","id":6,"method":"tools/list"}"#);
    let list = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"ls","x":1.0},{"name":"rm"}],"nextCursor":"c"}}"#;
    let answer =
        r#"client 1 <- {"jsonrpc":"2.0","id":6,"result":{"tools":[{"name":"ls","x":1.0}],"nextCursor":"c"}}"#;
    assert_eq!(bench.server_says(0, list), [answer]);
}

#[test]
fn a_ping_is_an_ordinary_one_and_its_answer_told_whatever_it_is() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    assert_eq!(bench.event(Event::Ping { instance: InstanceId(0) }), [], "it has not introduced itself");
    bench.ready(0);
    for answer in [r#""result":{}"#, r#""error":{"code":-32601,"message":"unknown"}"#] {
        let effects = bench.event(Event::Ping { instance: InstanceId(0) });
        let [Effect::ToServer { bytes, number: Some(number), .. }] = &effects[..] else {
            panic!("one request: {effects:?}")
        };
        let ping = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"ping"}}"#);
        assert_eq!(bytes.clone().into_whole(), ping);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{number},{answer}}}"#);
        let told = format!("pinged 0 with {} bytes: {}", bytes.len(), answer.len());
        assert_eq!(bench.server_says(0, &answer), [told]);
    }
}
