//! Both eras of MCP: which a server is asked for, and what of a message is said otherwise in the other.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::{Endpoint, Era, Event, InstanceId, Unreadable};
use exai_proto::answer::Failure;
use serde_json::{Value, json};

use crate::support::{Bench, initialize, only, policy, server_result};

/// A server whose eras are not known.
pub(crate) fn unknown(name: &str) -> Policy {
    Policy { era: None, ..policy(name) }
}

pub(crate) fn modern(name: &str) -> Policy {
    Policy { era: Some(Era::Modern), ..policy(name) }
}

pub(crate) fn meta() -> String {
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"m","version":"2"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#.to_owned()
}

/// A request of a modern client. `params` is what stands before `_meta`.
pub(crate) fn request(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{}}}}}"#, meta())
}

pub(crate) fn discover_result() -> Value {
    json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28", "2099-01-01"],
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}},
        "instructions": "be modern",
        "ttlMs": 60000,
        "cacheScope": "public",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "real", "version": "9"}},
    })
}

pub(crate) fn result(id: u64, result: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub(crate) fn error(id: u64, code: i64) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}}).to_string()
}

/// The number under which the only request for this server was sent.
pub(crate) fn number(lines: &[String], server: &str) -> u64 {
    only(lines, server)["id"].as_u64().expect("a number")
}

pub(crate) fn legacy_result() -> Value {
    serde_json::from_str(&server_result()).expect("JSON")
}

/// A router with a ready server of the modern era as instance 0, and a modern client 1 that uses it.
pub(crate) fn with_modern_server() -> Bench {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.open(1, Endpoint::One("a".into()));
    assert_eq!(bench.says(1, &request(1, "server/discover", "")), ["start a#1 as 0"]);
    let asked = bench.up(0);
    assert_eq!(only(&asked, "server 0")["method"], "server/discover");
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    let said = only(&lines, "client 1")["result"].clone();
    assert_eq!(said["supportedVersions"], json!(["2026-07-28"]), "no revision that exai does not know");
    assert_eq!((said["ttlMs"].as_u64(), said["cacheScope"].as_str()), (Some(0), Some("private")));
    assert_eq!(
        (&said["instructions"], &said["capabilities"]["tools"]["listChanged"]),
        (&json!("be modern"), &json!(true))
    );
    assert_eq!(only(&lines, "server 0")["method"], "subscriptions/listen", "the lists announce changes");
    bench
}

#[test]
fn modern_messages_pass_between_both_ends_as_they_are() {
    let mut bench = with_modern_server();
    let sent = bench.says(1, &request(7, "tools/call", r#""name":"t","arguments":{"x":1.0},"#));
    let number = number(&sent, "server 0");
    let expected = request(number, "tools/call", r#""name":"t","arguments":{"x":1.0},"#);
    assert_eq!(sent, [format!("server 0 <- {expected}")]);
    let needed = r#"{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{}}},"requestState":"\u00e4 1.0"}"#;
    let answer = |id: u64| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{needed}}}"#);
    assert_eq!(bench.server_says(0, &answer(number)), [format!("client 1 <- {}", answer(7))]);
    // The same again, in the next daemon's words: the client was answered from memory.
    let known = only(&bench.says(1, &request(8, "server/discover", "")), "client 1");
    assert_eq!(known["result"]["resultType"], "complete");
    // What the era does not have is no method.
    for method in ["ping", "logging/setLevel", "resources/subscribe"] {
        let refused = only(&bench.says(1, &request(9, method, "")), "client 1");
        assert_eq!(refused["error"]["code"], -32601, "{method}");
    }
}

#[test]
fn what_a_modern_server_tells_nobody_in_particular_reaches_no_wrong_client() {
    let mut bench = with_modern_server();
    let told = r#"{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"1"}}"#;
    bench.says(1, &request(7, "tools/call", r#""name":"t","#));
    assert_eq!(bench.server_says(0, told), [format!("client 1 <- {told}")]);
    bench.open(2, Endpoint::One("a".into()));
    bench.says(2, &request(1, "tools/list", ""));
    assert_eq!(bench.server_says(0, told), [""; 0]);
}

#[test]
fn a_request_that_does_not_say_what_the_era_wants_is_refused_with_the_code_of_the_specification() {
    let mut bench = with_modern_server();
    let one = |key: &str, value: &str| format!(r#""io.modelcontextprotocol/{key}":{value}"#);
    let ask = |members: &[String]| {
        let members = members.join(",");
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{members}}}}}}}"#)
    };
    let version = |text: &str| one("protocolVersion", text);
    let bare = only(&bench.says(1, &ask(&[version(r#""2026-07-28""#)])), "client 1");
    assert_eq!(bare["error"]["code"], -32602, "it does not say what its client can do");
    let future = ask(&[version(r#""2027-01-01""#), one("clientCapabilities", "{}")]);
    let refused = only(&bench.says(1, &future), "client 1");
    assert_eq!(refused["error"]["code"], -32022);
    assert_eq!(refused["error"]["data"]["requested"], "2027-01-01");
    assert_eq!(refused["error"]["data"]["supported"][0], "2026-07-28");
    for odd in ["7", "null", "{}"] {
        let refused =
            only(&bench.says(1, &ask(&[version(odd), one("clientCapabilities", "{}")])), "client 1");
        assert_eq!(refused["error"]["code"], -32602, "{odd}");
    }
    let twice =
        ask(&[version(r#""2026-07-28""#), version(r#""2025-11-25""#), one("clientCapabilities", "{}")]);
    assert!(only(&bench.says(1, &twice), "client 1")["error"].is_object());
}

#[test]
fn a_server_that_answers_the_question_for_its_era_with_an_error_is_initialised_on_the_same_pipe() {
    let mut bench = Bench::new(vec![unknown("a")]);
    assert_eq!(bench.introduced(1, "a", "{}"), ["start a#1 as 0"]);
    let asked = bench.up(0);
    assert_eq!(only(&asked, "server 0")["method"], "server/discover");
    let sent = bench.server_says(0, &error(number(&asked, "server 0"), -32601));
    assert_eq!(only(&sent, "server 0")["method"], "initialize");
    let lines = bench.server_says(0, &result(number(&sent, "server 0"), &legacy_result()));
    assert_eq!(only(&lines, "client 1")["result"]["protocolVersion"], "2025-06-18");
    let verdicts = bench.router.era_verdicts("a");
    assert_eq!(
        verdicts.iter().map(|(era, one)| (*era, one.speaks)).collect::<Vec<_>>(),
        [(Era::Legacy, true), (Era::Modern, false)]
    );
    assert!(bench.measured, "the next daemon need not ask");
    // The next run is not asked.
    bench.does(Event::Restart { server: "a".into() });
    bench.says(1, r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#);
    assert_eq!(only(&bench.up(1), "server 1")["method"], "initialize");
}

#[test]
fn a_modern_client_of_a_legacy_server_is_sent_to_its_own_legacy_era() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(1, &request(1, "server/discover", ""));
    bench.says(1, &request(2, "tools/list", ""));
    let asked = bench.up(0);
    let sent = bench.server_says(0, &error(number(&asked, "server 0"), -32602));
    let lines = bench.server_says(0, &result(number(&sent, "server 0"), &legacy_result()));
    let told: Vec<Value> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("client 1 <- "))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!((told[0]["id"].as_u64(), told[0]["error"]["code"].as_i64()), (Some(1), Some(-32601)));
    assert_eq!((told[1]["id"].as_u64(), told[1]["error"]["code"].as_i64()), (Some(2), Some(-32022)));
    assert_eq!(told[1]["error"]["data"]["supported"][0], "2025-11-25");
    let again = only(&bench.says(1, &request(3, "server/discover", "")), "client 1");
    assert_eq!(again["error"]["code"], -32601);
    let session = only(&bench.says(1, &initialize("{}")), "client 1");
    assert_eq!(session["result"]["serverInfo"]["name"], "real");
}

#[test]
fn a_modern_request_is_refused_at_a_legacy_server_that_is_just_starting() {
    let mut bench = Bench::new(vec![Policy { era: Some(Era::Legacy), ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    for method in ["tools/list", "tools/call"] {
        let lines = bench.says(1, &request(1, method, r#""name":"t","#));
        assert_eq!(only(&lines, "client 1")["error"]["code"], -32022, "{method}");
        assert_eq!(lines.len(), 1, "nothing is started for it");
    }
}

/// The sibling of the process that is asked would be in the way of a server with a port of its own.
#[test]
fn a_modern_request_is_refused_by_a_server_that_could_not_be_asked_for_its_era() {
    let mut bench = Bench::new(vec![Policy { one_at_a_time: true, ..unknown("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    assert_eq!(bench.says(1, &request(1, "tools/call", r#""name":"t","#)), ["start a#1 as 0"]);
    let sent = bench.up(0);
    assert_eq!(only(&sent, "server 0")["method"], "initialize");
    let lines = bench.server_says(0, &result(number(&sent, "server 0"), &legacy_result()));
    assert_eq!(only(&lines, "client 1")["error"]["code"], -32022);
}

/// What a server does, under a name.
type Way<'a> = (&'a str, &'a dyn Fn(&mut Bench) -> Vec<String>);

#[test]
fn whatever_a_server_does_at_the_question_for_its_era_it_is_served_in_the_end() {
    let garbage = |bench: &mut Bench| {
        let unreadable = Unreadable {
            id: None,
            asks: false,
            text: "sent garbage".into(),
            failure: Failure::OutcomeUnknown,
        };
        bench.does(Event::Unreadable { instance: InstanceId(0), unreadable })
    };
    let exits = |bench: &mut Bench| bench.down(0, "exited with status 1");
    let silent = |bench: &mut Bench| {
        let lines = bench.lives(Duration::from_secs(3));
        assert_eq!(only(&lines, "server 0")["method"], "initialize", "it may only be silent about this");
        bench.lives(Duration::from_secs(15))
    };
    let ways: [Way<'_>; 3] = [("garbage", &garbage), ("exit", &exits), ("silence", &silent)];
    for (way, happens) in ways {
        let mut bench = Bench::new(vec![unknown("a")]);
        bench.introduced(1, "a", "{}");
        bench.up(0);
        let lines = happens(&mut bench);
        assert!(lines.contains(&"start a#2 as 1".to_owned()), "{way}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("client")), "{way}: nobody is told: {lines:?}");
        let sent = bench.up(1);
        assert_eq!(only(&sent, "server 1")["method"], "initialize", "{way}");
        let lines = bench.server_says(1, &result(number(&sent, "server 1"), &legacy_result()));
        assert_eq!(only(&lines, "client 1")["result"]["serverInfo"]["name"], "real", "{way}");
        let verdicts = bench.router.era_verdicts("a");
        assert!(verdicts.iter().any(|(era, one)| *era == Era::Modern && !one.speaks), "{way}: {verdicts:?}");
    }
}

#[test]
fn a_server_that_is_only_silent_is_heard_in_either_era_when_it_speaks() {
    for (era, said) in [(Era::Modern, discover_result()), (Era::Legacy, legacy_result())] {
        let mut bench = Bench::new(vec![unknown("a")]);
        bench.open(1, Endpoint::One("a".into()));
        bench.says(1, &initialize("{}"));
        let asked = number(&bench.up(0), "server 0");
        let also = number(&bench.lives(Duration::from_secs(3)), "server 0");
        let answered = if era == Era::Modern { asked } else { also };
        bench.server_says(0, &result(answered, &said));
        let verdicts = bench.router.era_verdicts("a");
        assert!(verdicts.iter().any(|(one, verdict)| *one == era && verdict.speaks), "{verdicts:?}");
        // The other answer comes too late to matter.
        assert!(bench.server_says(0, &error(asked + also - answered, -32022)).is_empty());
    }
}

/// Otherwise each start of the server would wait for an answer that does not come.
#[test]
fn a_server_that_was_silent_once_is_not_asked_again_unless_it_answers_late() {
    for is_late in [false, true] {
        let mut bench = Bench::new(vec![unknown("a")]);
        bench.introduced(1, "a", "{}");
        let asked = number(&bench.up(0), "server 0");
        let also = number(&bench.lives(Duration::from_secs(3)), "server 0");
        bench.server_says(0, &result(also, &legacy_result()));
        if is_late {
            bench.server_says(0, &result(asked, &discover_result()));
        }
        let verdicts = bench.router.era_verdicts("a");
        let speaks: Vec<_> = verdicts.iter().map(|(era, verdict)| (*era, verdict.speaks)).collect();
        assert_eq!(speaks, [(Era::Legacy, true), (Era::Modern, is_late)], "{verdicts:?}");
        assert!(bench.measured, "the next daemon need not ask");
        bench.open(2, Endpoint::One("a".into()));
        let told = only(&bench.says(2, &request(1, "server/discover", "")), "client 2");
        assert_eq!(told["result"]["instructions"], if is_late { json!("be modern") } else { Value::Null });
        bench.does(Event::Restart { server: "a".into() });
        let started =
            bench.says(1, r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#);
        let next = if is_late { 2 } else { 1 };
        assert_eq!(started, [format!("start a#{} as {next}", next + 1)]);
        assert_eq!(only(&bench.up(next), &format!("server {next}"))["method"], "initialize");
    }
}

/// Clients that come at the same time and can do different things have a server started twice, before it is known that
/// they can share.
#[test]
fn a_modern_server_that_was_started_twice_to_be_asked_for_its_era_goes_on_once() {
    let mut bench = Bench::new(vec![unknown("a")]);
    assert_eq!(bench.introduced(1, "a", "{}"), ["start a#1 as 0"]);
    assert_eq!(bench.introduced(2, "a", r#"{"sampling":{}}"#), ["start a#2 as 1"]);
    let asked = [bench.up(0), bench.up(1)];
    bench.server_says(0, &result(number(&asked[0], "server 0"), &discover_result()));
    let lines = bench.server_says(1, &result(number(&asked[1], "server 1"), &discover_result()));
    assert!(lines.iter().any(|line| line.starts_with("stop 1")), "{lines:?}");
    bench.open(3, Endpoint::One("a".into()));
    let sent = only(&bench.says(3, &request(1, "tools/call", r#""name":"t","#)), "server 0");
    assert_eq!(sent["method"], "tools/call");
}

#[test]
fn a_server_of_both_eras_has_a_process_for_each_that_is_used() {
    let mut bench = with_modern_server();
    bench.open(2, Endpoint::One("a".into()));
    assert_eq!(bench.says(2, &initialize("{}")), ["start a#2 as 1"]);
    let sent = bench.up(1);
    assert_eq!(only(&sent, "server 1")["method"], "initialize");
    let lines = bench.server_says(1, &result(number(&sent, "server 1"), &legacy_result()));
    assert_eq!(only(&lines, "client 2")["result"]["instructions"], "be kind");
    assert!(!lines.iter().any(|line| line == "stop 0"), "a client uses the other");
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#;
    assert!(bench.says(2, call)[0].starts_with("server 1"));
    assert!(bench.says(1, &request(7, "tools/call", r#""name":"t","#))[0].starts_with("server 0"));
    // A client may speak both.
    let both = bench.says(1, &initialize("{}"));
    assert_eq!(only(&both, "client 1")["result"]["instructions"], "be kind");
    assert!(bench.says(1, call)[0].starts_with("server 1"));
    assert!(bench.says(1, &request(8, "tools/call", r#""name":"t","#))[0].starts_with("server 0"));
}

#[test]
fn the_process_that_has_shown_the_modern_era_goes_where_nobody_speaks_it() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    let asked = bench.up(0);
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    assert!(lines.contains(&"start a#2 as 1".to_owned()), "{lines:?}");
    let sent = bench.up(1);
    let lines = bench.server_says(1, &result(number(&sent, "server 1"), &legacy_result()));
    assert!(lines.contains(&"stop 0".to_owned()), "{lines:?}");
    assert_eq!(only(&lines, "client 1")["result"]["instructions"], "be kind");
}

#[test]
fn where_all_servers_are_one_each_era_sees_all_of_them_as_its_own() {
    let mut bench = Bench::new(vec![policy("old"), modern("new")]);
    bench.open(1, Endpoint::All);
    bench.open(2, Endpoint::All);
    // One of the servers is better served in a session.
    assert_eq!(only(&bench.says(1, &request(1, "server/discover", "")), "client 1")["error"]["code"], -32601);
    bench.says(2, &initialize("{}"));
    let lines = bench.says(1, &request(2, "tools/list", ""));
    assert_eq!(lines, ["start old#1 as 0", "start new#1 as 1"]);
    let sent = bench.ready(0);
    let asked = bench.up(1);
    let listing = bench.server_says(1, &result(number(&asked, "server 1"), &discover_result()));
    let list_of = |lines: &[String], server: &str| {
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(&format!("{server} <- ")))
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .find(|message| message["method"] == "tools/list")
            .expect("the list is asked for")
    };
    bench.server_says(
        0,
        &result(
            list_of(&sent, "server 0")["id"].as_u64().expect("a number"),
            &json!({"tools": [{"name": "o"}]}),
        ),
    );
    let own = list_of(&listing, "server 1");
    assert_eq!(own["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"], "exai");
    let lines = bench.server_says(
        1,
        &result(
            own["id"].as_u64().expect("a number"),
            &json!({"resultType": "complete", "tools": [{"name": "n"}], "ttlMs": 9, "cacheScope": "public"}),
        ),
    );
    let listed = only(&lines, "client 1")["result"].clone();
    assert_eq!(
        listed,
        json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [{"name": "old__o"}, {"name": "new__n"}]})
    );
    let listed = bench.says(2, r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    assert!(!listed.iter().any(|line| line.contains("resultType")), "{listed:?}");
    // A call is translated for a legacy server, and what it answers is translated back.
    let sent = only(&bench.says(1, &request(3, "tools/call", r#""name":"old__o","#)), "server 0");
    assert_eq!(sent["params"], json!({"name": "o", "_meta": {}}));
    let lines =
        bench.server_says(0, &result(sent["id"].as_u64().expect("a number"), &json!({"content": []})));
    assert_eq!(
        lines,
        [r#"client 1 <- {"jsonrpc":"2.0","id":3,"result":{"resultType":"complete","content":[]}}"#]
    );
    let sent = only(&bench.says(1, &request(4, "tools/call", r#""name":"new__n","#)), "server 1");
    assert_eq!(
        (&sent["params"]["name"], &sent["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"]),
        (&json!("n"), &json!("m"))
    );
}
