//! The router checks and changes the same values that the receiver reads, whatever parser the receiver uses.

use exai_mux::Endpoint;

use crate::support::{Bench, initialize, only, policy};

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{params}}}"#)
}

fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#)
}

/// Client 1 uses the endpoint of one server, client 2 the endpoint of all servers. Both use instance 0.
fn bench() -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.open(2, Endpoint::All);
    bench.says(2, &initialize("{}"));
    bench
}

#[test]
fn a_request_that_can_be_read_in_two_ways_reaches_no_server() {
    let mut bench = bench();
    for (method, params) in [
        ("tools/call", r#"{"name":"a__ok","na\u006de":"a__t"}"#),
        ("tools/call", r#"{"name":"a__ok","name":"a__t"}"#),
        ("tools/call", r#"{"Name":"a__t"}"#),
        ("tools/call", r#"{"name":"a__t","_meta":{"progressToken":1,"progressToken":7}}"#),
        ("tools/call", r#"{"name":"a__t","_meta":{"progreſſToken":1}}"#),
        ("tools/call", r#"{"name":"a__t","_meta":{"progressToken":1},"_META":{"progressToken":7}}"#),
        ("resources/read", r#"{"uri":"r://1","u\u0072i":"r://2"}"#),
        ("completion/complete", r#"{"ref":{"name":"a__x","name":"a__y"}}"#),
        ("completion/complete", r#"{"ref":{"name":"a__x","URI":"r://1"}}"#),
        ("logging/setLevel", r#"{"level":"debug","level":"error"}"#),
    ] {
        for client in [1, 2] {
            let lines = bench.says(client, &request(method, params));
            let error = &only(&lines, &format!("client {client}"))["error"];
            assert_eq!((lines.len(), &error["code"]), (1, &(-32602).into()), "{params}");
            assert!(error["message"].as_str().is_some_and(|text| text.contains("two spellings")), "{error}");
        }
    }
    assert!(!bench.router.is_busy());
    let fine = request(
        "tools/call",
        r#"{"name":"t","arguments":{"name":1,"Name":2,"na\u006de":3},"x\u0079":0,"_meta":{"name":1,"NAME":2}}"#,
    );
    let sent = fine.replace(r#""id":5"#, r#""id":2"#);
    assert_eq!(bench.says(1, &fine), [format!("server 0 <- {sent}")], "what routing does not read is free");
}

#[test]
fn escapes_say_what_they_stand_for_in_methods_and_in_keys() {
    let mut bench = bench();
    let call = r#"{"jsonrpc":"2.0","id":5,"m\u0065thod":"tools\/call","params":{"na\u006de":"a__t"}}"#;
    let sent = |name| format!(r#""method":"tools/call","params":{{"na\u006de":"{name}"}}}}"#);
    for (client, number, name) in [(1, 2, "a__t"), (2, 3, "t")] {
        let expected = format!(r#"server 0 <- {{"jsonrpc":"2.0","id":{number},{}"#, sent(name));
        assert_eq!(bench.says(client, call), [expected]);
    }
    let lines = bench.says(1, &request("\\u0070ing", "{}"));
    assert_eq!(only(&lines, "client 1")["result"], serde_json::json!({}));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications\/cancelled","params":{"requestI\u0064":5.0}}"#;
    let lines = bench.says(1, cancel);
    assert!(lines.iter().any(|line| line.starts_with("server 0") && line.contains("cancelled")), "{lines:?}");
}

#[test]
fn a_notification_that_can_be_read_in_two_ways_is_dropped_and_cancels_nobodys_request() {
    let mut bench = bench();
    bench.says(2, &request("tools/call", r#"{"name":"a__t"}"#));
    bench.says(1, &request("tools/call", r#"{"name":"t"}"#));
    for (method, params) in [
        ("cancelled", r#"{"requestId":5,"requestI\u0064":2}"#),
        ("cancelled", r#"{"requestId":5,"requestid":2}"#),
        ("cancelled", r#"{"requestId":5,"requestId":2}"#),
        ("progress", r#"{"progressToken":1,"progressToken":2}"#),
        ("x-vendor", r#"{"uri":"r://1","URI":"r://2"}"#),
    ] {
        assert_eq!(bench.says(1, &notification(method, params)), [""; 0], "{params}");
    }
}

#[test]
fn servers_are_held_to_the_same() {
    let mut bench = bench();
    let call = request("tools/call", r#"{"name":"t","_meta":{"progressToken":"p"}}"#);
    bench.says(1, &call);
    for (method, params) in [
        ("progress", r#"{"progressToken":2,"progressToken":3}"#),
        ("message", r#"{"level":"info","LEVEL":"error","data":1}"#),
        ("cancelled", r#"{"requestI\u0064":2,"requestId":3}"#),
        ("x-vendor", r#"{"uri":"r://1","URI":"r://2"}"#),
    ] {
        assert_eq!(bench.server_says(0, &notification(method, params)), [""; 0], "{params}");
    }
    let ask = request("sampling/createMessage", r#"{"_meta":{"progressToken":1,"progressToken":2}}"#);
    assert_eq!(only(&bench.server_says(0, &ask), "server 0")["error"]["code"], -32602);
}

#[test]
fn a_call_whose_tool_cannot_be_read_passes_only_where_every_tool_does() {
    let mut rules = policy("closed");
    rules.tools.deny = vec!["rm".into()];
    let mut bench = Bench::new(vec![policy("open"), rules]);
    bench.introduced(1, "open", "{}");
    bench.ready(0);
    bench.introduced(2, "closed", "{}");
    bench.ready(1);
    for params in [r#"{"arguments":{}}"#, r#"{"name":7}"#, r#"{"name":"\ud800"}"#, r#"["rm"]"#, "null"] {
        let call = request("tools/call", params);
        let lines = bench.says(1, &call);
        assert!(lines.len() == 1 && lines[0].starts_with("server 0"), "{lines:?}");
        assert_eq!(only(&bench.says(2, &call), "client 2")["error"]["code"], -32602, "{params}");
    }
}
