//! What only one era has does not get into the other, whatever servers and clients say.

use exai_mux::policy::{Policy, Share};
use exai_mux::{Endpoint, Event, InstanceId, Unreadable};
use exai_proto::Id;
use exai_proto::answer::Failure;
use serde_json::{Value, json};

use crate::bridged::bridged;
use crate::eras::{
    discover_result, error, legacy_result, modern, number, request, result, with_modern_server,
};
use crate::parked::{FORMS, QUESTION, asks, retry, with_bridged_call};
use crate::support::{Bench, initialize, only, policy};

const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;

/// All messages for this receiver.
fn all(lines: &[String], whom: &str) -> Vec<Value> {
    let start = format!("{whom} <- ");
    let own = lines.iter().filter_map(|line| line.strip_prefix(&start));
    own.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_server_of_the_modern_era_is_not_told_the_log_level_of_a_session() {
    let mut said = discover_result();
    said["capabilities"]["logging"] = json!({});
    let mut bench = Bench::new(vec![modern("a")]);
    bench.introduced(1, "a", "{}");
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &said));
    bench.says(1, r#"{"jsonrpc":"2.0","id":4,"method":"logging/setLevel","params":{"level":"info"}}"#);
    bench.does(Event::Restart { server: "a".into() });
    bench.says(1, CALL);
    let asked = bench.up(1);
    let lines = bench.server_says(1, &result(number(&asked, "server 1"), &said));
    let sent = all(&lines, "server 1");
    assert!(!sent.iter().any(|one| one["method"] == "logging/setLevel"), "{lines:?}");
    let call = sent.iter().find(|one| one["method"] == "tools/call").expect("the call is sent");
    assert_eq!(call["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
}

#[test]
fn a_modern_client_of_a_legacy_server_hears_the_log_only_if_its_request_wants_that() {
    let (mut bench, _) = with_bridged_call(FORMS);
    assert!(bench.server_says(0, LOG).is_empty());
    let key = "io.modelcontextprotocol/logLevel";
    let wants = request(6, "tools/call", r#""name":"t","#)
        .replace("\"_meta\":{", &format!("\"_meta\":{{\"{key}\":\"info\","));
    bench.says(1, &wants);
    assert_eq!(bench.server_says(0, LOG), [format!("client 1 <- {LOG}")]);
    assert!(bench.server_says(0, &LOG.replace("info", "debug")).is_empty());
    // What an extension says to sessions is not for it either.
    let other = r#"{"jsonrpc":"2.0","method":"notifications/vendor/news","params":{}}"#;
    assert!(bench.server_says(0, other).is_empty());
}

#[test]
fn what_a_modern_server_says_of_a_call_reaches_a_legacy_client_without_the_words_of_its_era() {
    let mut bench = bridged("{}");
    bench.says(1, r#"{"jsonrpc":"2.0","id":4,"method":"logging/setLevel","params":{"level":"info"}}"#);
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}"#;
    let number = number(&bench.says(1, call), "server 0");
    let meta = r#""_meta":{"io.modelcontextprotocol/serverInfo":{},"own":1}"#;
    for (method, members) in [
        ("progress", format!(r#""progressToken":{number},"progress":1"#)),
        ("message", r#""level":"error","data":1"#.to_owned()),
        ("vendor/news", r#""x":1"#.to_owned()),
    ] {
        let said =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{members},{meta}}}}}"#);
        let told = only(&bench.server_says(0, &said), "client 1");
        assert_eq!(told["params"]["_meta"], json!({"own": 1}), "{method}");
    }
    // What belongs to a listen of the router is for nobody else.
    let foreign = r#"{"jsonrpc":"2.0","method":"notifications/vendor/news","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}}"#;
    assert!(bench.server_says(0, foreign).is_empty());
}

#[test]
fn a_modern_client_of_all_servers_is_told_in_its_words_that_there_is_no_such_resource() {
    let mut bench = Bench::new(Vec::new());
    bench.open(1, Endpoint::All);
    let refused = only(&bench.says(1, &request(1, "resources/read", r#""uri":"r://x","#)), "client 1");
    assert_eq!(refused["error"]["code"], -32602);
    bench.says(1, &initialize("{}"));
    let read = r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"r://x"}}"#;
    assert_eq!(only(&bench.says(1, read), "client 1")["error"]["code"], -32002);
}

/// A router with a shared bridged server as instance 0, where the call of client 1 is parked under this request state, and
/// client 2 has a call.
fn with_parked_call_beside_another() -> (Bench, String) {
    let mut bench = Bench::new(vec![Policy { bridge: true, share: Share::Shared, ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(1, &request(5, "tools/call", r#""name":"t","arguments":{"x":1},"#));
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &legacy_result()));
    let needed = asks(&mut bench, QUESTION);
    assert_eq!(needed["result"]["resultType"], "input_required");
    bench.open(2, Endpoint::One("a".into()));
    assert!(bench.says(2, &request(5, "tools/call", r#""name":"u","#))[0].starts_with("server 0"));
    (bench, needed["result"]["requestState"].as_str().expect("a state").to_owned())
}

#[test]
fn a_question_that_may_be_about_another_call_is_not_put_to_the_client_of_a_parked_one() {
    let (mut bench, _) = with_parked_call_beside_another();
    let lines = bench.server_says(0, &QUESTION.replace("\"q\"", "\"q2\""));
    let refused = only(&lines, "server 0");
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("q2"), &json!(-32603)), "{lines:?}");
    assert_eq!(lines.len(), 1, "no client is asked: {lines:?}");
}

#[test]
fn what_continues_a_parked_call_does_not_wait_for_its_turn() {
    let (mut bench, state) = with_parked_call_beside_another();
    // The server works for two, and asks: it gets the requests of one at a time from now on.
    bench.server_says(0, &QUESTION.replace("\"q\"", "\"q2\""));
    let lines = bench.says(1, &retry(7, &state, r#"{"q":{"action":"accept"}}"#));
    assert_eq!(only(&lines, "server 0")["result"]["action"], "accept");
}

#[test]
fn an_answer_to_a_parked_call_is_a_modern_one_though_the_server_is_gone_meanwhile() {
    let (mut bench, number) = with_bridged_call(FORMS);
    let needed = asks(&mut bench, QUESTION);
    let state = needed["result"]["requestState"].as_str().expect("a state").to_owned();
    assert!(bench.server_says(0, &result(number, &json!({"content": []}))).is_empty());
    bench.down(0, "exited");
    let lines = bench.says(1, &retry(6, &state, r#"{"q":{"action":"accept"}}"#));
    assert_eq!(only(&lines, "client 1")["result"], json!({"resultType": "complete", "content": []}));
    assert!(!lines.iter().any(|line| line.starts_with("server 0")), "{lines:?}");
}

#[test]
fn a_modern_server_that_asks_is_not_answered() {
    let mut bench = with_modern_server();
    bench.says(1, &request(7, "tools/call", r#""name":"t","#));
    for method in ["ping", "roots/list", "elicitation/create", "exai/client"] {
        let asked = format!(r#"{{"jsonrpc":"2.0","id":"q","method":"{method}","params":{{}}}}"#);
        assert_eq!(bench.server_says(0, &asked), [""; 0], "{method}");
    }
    let unreadable = Unreadable {
        id: Some(Id::number(1)),
        asks: true,
        text: "asked with a wrong id".into(),
        failure: Failure::OutcomeUnknown,
    };
    assert_eq!(bench.does(Event::Unreadable { instance: InstanceId(0), unreadable }), [""; 0]);
}

#[test]
fn what_a_modern_server_logs_reaches_nobody_while_several_clients_may_be_meant() {
    let mut bench = with_modern_server();
    let key = "io.modelcontextprotocol/logLevel";
    let wants = |id| {
        let call = request(id, "tools/call", r#""name":"t","#);
        call.replace("\"_meta\":{", &format!("\"_meta\":{{\"{key}\":\"info\","))
    };
    bench.open(2, Endpoint::One("a".into()));
    bench.says(1, &wants(7));
    assert_eq!(bench.server_says(0, LOG), [format!("client 1 <- {LOG}")]);
    let other = number(&bench.says(2, &wants(8)), "server 0");
    assert_eq!(bench.server_says(0, LOG), [""; 0], "it may be about either call");
    bench.says(2, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":8}}"#);
    assert_eq!(
        bench.server_says(0, LOG),
        [""; 0],
        "the server may not have heard that the call is cancelled"
    );
    bench.server_says(0, &result(other, &json!({"content": []})));
    assert_eq!(bench.server_says(0, LOG), [format!("client 1 <- {LOG}")]);
}

#[test]
fn a_legacy_server_gets_no_input_that_it_has_not_asked_for() {
    let (mut bench, _) = with_bridged_call(FORMS);
    let call = request(
        6,
        "tools/call",
        r#""name":"t","inputResponses":{"k":{"action":"accept"}},"arguments":{"x":1},"#,
    );
    let sent = only(&bench.says(1, &call), "server 0");
    assert_eq!(sent["params"], json!({"name": "t", "arguments": {"x": 1}, "_meta": {}}));
}

#[test]
fn a_server_that_turns_to_the_legacy_era_does_not_get_the_input_that_it_needed_in_the_modern_one() {
    let mut bench = bridged(r#"{"elicitation":{}}"#);
    let sent = number(&bench.says(1, CALL), "server 0");
    let needed = json!({"resultType": "input_required", "inputRequests": {"k": {"method": "elicitation/create", "params": {}}}, "requestState": "s"});
    let question = only(&bench.server_says(0, &result(sent, &needed)), "client 1")["id"].clone();
    bench.down(0, "exited");
    let answer = json!({"jsonrpc": "2.0", "id": question, "result": {"action": "accept"}});
    assert_eq!(bench.says(1, &answer.to_string()), ["start a#3 as 2"]);
    let asked = bench.up(2);
    let sent = bench.server_says(2, &error(number(&asked, "server 2"), -32601));
    bench.server_says(2, &result(number(&sent, "server 2"), &legacy_result()));
    // The client declares something, so it has an instance of its own in this era.
    let lines = bench.ready(3);
    let call = all(&lines, "server 3").into_iter().find(|one| one["method"] == "tools/call");
    assert_eq!(call.expect("the call is made anew")["params"], json!({"name": "t"}));
}

#[test]
fn a_modern_client_is_refused_by_a_legacy_server_that_is_not_bridged_whether_it_runs_or_not() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::One("a".into()));
    let call = request(1, "tools/call", r#""name":"t","#);
    let refused = |bench: &mut Bench| only(&bench.says(1, &call), "client 1")["error"]["code"].clone();
    assert_eq!(refused(&mut bench), -32022, "nothing is started for it");
    assert_eq!(bench.introduced(2, "a", "{}"), ["start a#1 as 0"]);
    assert_eq!(refused(&mut bench), -32022);
    bench.ready(0);
    assert_eq!(refused(&mut bench), -32022);
    // Where the server is not asked which era it speaks, it is refused when that is known.
    let mut bench = Bench::new(vec![Policy { era: None, one_at_a_time: true, ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    assert_eq!(bench.says(1, &call), ["start a#1 as 0"]);
    assert_eq!(only(&bench.ready(0), "client 1")["error"]["code"], -32022);
}

#[test]
fn a_modern_server_may_need_sixteen_inputs_at_once_each_under_its_own_name() {
    let mut bench = bridged(r#"{"elicitation":{}}"#);
    let member = |key: usize| format!(r#""k{key}":{{"method":"elicitation/create","params":{{}}}}"#);
    let mut ask = |keys: &[usize]| {
        let sent = number(&bench.says(1, CALL), "server 0");
        let members: Vec<String> = keys.iter().map(|key| member(*key)).collect();
        let needed = format!(
            r#"{{"jsonrpc":"2.0","id":{sent},"result":{{"resultType":"input_required","inputRequests":{{{}}}}}}}"#,
            members.join(",")
        );
        let told = all(&bench.server_says(0, &needed), "client 1");
        (told.len(), told[0]["error"]["code"].as_i64(), bench.router.counts().asked)
    };
    let many: Vec<usize> = (0..10_000).collect();
    assert_eq!(ask(&many), (1, Some(-32603), 0));
    assert_eq!(ask(&many[..17]), (1, Some(-32603), 0));
    assert_eq!(ask(&[1, 1]), (1, Some(-32603), 0), "the answers to these would be one");
    assert_eq!(ask(&many[..16]), (16, None, 16));
}

#[test]
fn a_call_with_a_state_is_not_begun_anew_at_a_server_that_has_turned_to_the_legacy_era() {
    let mut bench = Bench::new(vec![Policy { bridge: true, era: None, ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(1, &request(1, "server/discover", ""));
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    bench.down(0, "exited");
    assert_eq!(
        bench.says(1, &request(4, "tools/call", r#""name":"t","requestState":"s","#)),
        ["start a#2 as 1"]
    );
    let asked = bench.up(1);
    let mut lines = bench.server_says(1, &error(number(&asked, "server 1"), -32601));
    let sent = number(&lines, "server 1");
    lines.extend(bench.server_says(1, &result(sent, &legacy_result())));
    lines.extend(bench.ready(2));
    assert!(!lines.iter().any(|line| line.contains("tools/call")), "{lines:?}");
    let told = all(&lines, "client 1");
    assert!(told.iter().any(|one| one["error"]["code"] == -32602), "{lines:?}");
}
