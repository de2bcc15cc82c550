//! Questions of servers that name the request that they belong to, and what exai itself says of the client of a request.

use exai_mux::behaviour::ObservedBehaviour;
use exai_mux::policy::{Policy, Share};
use exai_mux::{About, ClientId, ClientName, Effect, Endpoint, Event, InstanceId};
use exai_proto::Id;
use serde_json::{Value, json};

use crate::support::{Bench, initialize, message, only, policy};

const ALL: &str = r#"{"roots":{},"sampling":{},"elicitation":{}}"#;

fn call(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t"}}}}"#)
}

fn ask(method: &str, named: &str) -> String {
    let meta = format!(r#"{{"k":1.0,"exai/request":{named}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":"s1","method":"{method}","params":{{"_meta":{meta},"x":[1e2]}}}}"#)
}

/// Clients 1 and 2 share the only instance of a server. Both have a call under way, which the server knows as 2 and 3.
/// Both clients have given their call the same id, but for its type.
fn two_calls() -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", ALL);
    bench.ready(0);
    bench.introduced(2, "a", ALL);
    assert_eq!(only(&bench.says(1, &call("5")), "server 0")["id"], 2);
    assert_eq!(only(&bench.says(2, &call(r#""5""#)), "server 0")["id"], 3);
    bench
}

/// The server asks this, and gets an error at once. Returns its code.
#[track_caller]
fn refused(bench: &mut Bench, instance: u64, question: &str) -> i64 {
    let lines = bench.server_says(instance, question);
    let error = only(&lines, &format!("server {instance}"));
    assert_eq!((lines.len(), &error["id"]), (1, &json!("s1")), "{lines:?}");
    error["error"]["code"].as_i64().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn each_question_goes_to_the_client_of_the_request_that_it_names() {
    let mut bench = two_calls();
    let methods = ["roots/list", "sampling/createMessage", "elicitation/create", "other/ask"];
    let whom = [("2", 1, "5"), ("3", 2, r#""5""#), ("\"3\"", 2, r#""5""#), ("2.0", 1, "5")];
    let asked = methods.into_iter().flat_map(|method| whom.map(|whom| (method, whom)));
    for (number, (method, (named, client, own))) in (1..).zip(asked) {
        let message = message(&ask(method, named));
        let effects = bench.event(Event::FromServer { instance: InstanceId(0), message });
        let passed = ask(method, own).replace("\"s1\"", &number.to_string());
        let expected = Effect::ToClient {
            client: ClientId(client),
            bytes: bytes::Bytes::from(passed).into(),
            about: About::During(Id::from_json(own.as_bytes())),
        };
        assert_eq!(effects, [expected], "every other byte passes");
        let answer = |by| (by, format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"of":{client}}}}}"#));
        let (other, theirs) = answer(3 - client);
        assert_eq!(bench.says(other, &theirs), [""; 0], "nobody answers for another");
        let (client, ours) = answer(client);
        let told = format!(r#"server 0 <- {{"jsonrpc":"2.0","id":"s1","result":{{"of":{client}}}}}"#);
        assert_eq!(bench.says(client, &ours), [told]);
    }
    assert_eq!(bench.router.counts().asked, 0);
}

#[test]
fn a_question_that_names_its_request_is_withdrawn_and_declined_as_any_other() {
    let mut bench = two_calls();
    let asked = only(&bench.server_says(0, &ask("roots/list", "3")), "client 2")["id"].clone();
    let unwanted = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s1"}}"#;
    assert_eq!(only(&bench.server_says(0, unwanted), "client 2")["params"]["requestId"], asked);
    bench.server_says(0, &ask("roots/list", "3"));
    let told = bench.does(Event::Closed { client: ClientId(2) });
    assert!(told.iter().any(|line| line.contains(r#""id":"s1","error""#)), "{told:?}");
}

#[test]
fn such_a_question_neither_separates_clients_nor_makes_them_wait_for_each_other() {
    let mut bench = two_calls();
    for question in [ask("sampling/createMessage", "2"), ask("sampling/createMessage", "9")] {
        bench.server_says(0, &question);
    }
    assert_eq!(bench.router.observed_behaviour("a").map(|known| known.1.asks.len()).unwrap_or_default(), 0);
    assert!(!bench.measured && bench.says(1, &call("6")).len() == 1 && bench.says(2, &call("6")).len() == 1);
    assert_eq!(bench.introduced(3, "a", ALL).len(), 1, "its answer, and no start");
    // A question that names nothing does all of that.
    assert_eq!(
        refused(&mut bench, 0, r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage"}"#),
        -32603
    );
    assert!(bench.measured && bench.says(1, &call("7")).is_empty());
    assert_ne!(bench.router.observed_behaviour("a").expect("measured").1, ObservedBehaviour::default());
}

#[test]
fn who_names_no_request_that_is_waited_for_gets_an_error_and_nobody_is_asked() {
    let mut bench = two_calls();
    let nobody = |bench: &mut Bench, named: &str| {
        for method in ["roots/list", "other/ask", "exai/client"] {
            assert_eq!(refused(bench, 0, &ask(method, named)), -32602, "{method} {named}");
        }
    };
    // 1 is the router's own `initialize`; the number that comes next names nothing yet.
    for named in
        ["1", "0", "4", "-2", "2.5", "99999999999999999999", "null", "true", "{}", "[2]", "\"x\"", "\"\""]
    {
        nobody(&mut bench, named);
    }
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    nobody(&mut bench, "2");
    bench.says(2, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"5"}}"#);
    nobody(&mut bench, "3");
    bench.says(1, &call("8"));
    assert_eq!(only(&bench.server_says(0, &ask("roots/list", "4")), "client 1")["method"], "roots/list");
    bench.does(Event::Closed { client: ClientId(1) });
    nobody(&mut bench, "4");
    assert!(!bench.measured, "nor is anything learned of the server");
}

#[test]
fn a_number_of_another_instance_names_nothing() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    for (client, server) in [(1, "a"), (2, "b")] {
        bench.introduced(client, server, ALL);
        bench.ready(client - 1);
        bench.says(client, &call("5"));
    }
    bench.says(1, &call("6"));
    assert_eq!(
        only(&bench.server_says(0, &ask("roots/list", "3")), "client 1")["params"]["_meta"]["exai/request"],
        6
    );
    assert_eq!(refused(&mut bench, 1, &ask("roots/list", "3")), -32602);
    // The next run of server a does not know the requests of the last one.
    bench.down(0, "was killed");
    let restarted = bench.says(1, &call("7"));
    assert!(restarted.contains(&"start a#2 as 2".to_owned()), "{restarted:?}");
    bench.ready(2);
    assert_eq!(refused(&mut bench, 2, &ask("roots/list", "3")), -32602);
    assert_eq!(
        only(&bench.server_says(2, &ask("roots/list", "2")), "client 1")["params"]["_meta"]["exai/request"],
        7
    );
}

#[test]
fn a_client_is_asked_only_what_it_has_declared_whatever_the_server_was_told() {
    let mut bench = Bench::new(vec![Policy { share: Share::Shared, ..policy("a") }]);
    for (client, can) in [(1, "{}"), (2, r#"{"sampling":{}}"#)] {
        bench.introduced(client, "a", can);
        if client == 1 {
            bench.ready(0);
        }
        bench.says(client, &call("5"));
    }
    for (named, sampling, roots) in [("2", false, false), ("3", true, false)] {
        for (method, can) in [("sampling/createMessage", sampling), ("roots/list", roots)] {
            if can {
                only(&bench.server_says(0, &ask(method, named)), "client 2");
            } else {
                assert_eq!(refused(&mut bench, 0, &ask(method, named)), -32601, "{method} {named}");
            }
        }
    }
}

#[test]
fn what_can_be_read_in_two_ways_names_nothing() {
    let mut bench = two_calls();
    for named in [
        r#"2,"exai/request":3"#,
        r#"2,"exai\/request":3"#,
        r#"2,"EXAI/request":3"#,
        r#"2},"_meta":{"exai/request":3"#,
    ] {
        for method in ["roots/list", "exai/client"] {
            let lines = bench.server_says(0, &ask(method, named));
            let error = &only(&lines, "server 0")["error"];
            assert_eq!((lines.len(), &error["code"]), (1, &json!(-32602)), "{named}");
            assert!(error["message"].as_str().is_some_and(|text| text.contains("two spellings")), "{error}");
        }
    }
    let escaped = ask("roots/list", "3").replace("exai/request", r"exai\/request");
    assert_eq!(only(&bench.server_says(0, &escaped), "client 2")["params"]["_meta"]["exai/request"], "5");
}

#[test]
fn exai_says_itself_who_has_sent_a_request_and_where_it_works() {
    let mut bench = Bench::new(vec![policy("a")]);
    let label = |label: &str| ClientName::Label(label.into());
    let clients = [
        (label("cursor"), Some("/home/me/one"), json!("cursor")),
        (ClientName::Program, Some("/home/me/two"), Value::Null),
        (ClientName::Nameless, None, Value::Null),
    ];
    let mut expected = Vec::new();
    for (client, (name, directory, label)) in (1..).zip(clients) {
        bench.open_in(client, Endpoint::One("a".into()), name, directory);
        bench.says(client, &initialize("{}"));
        if client == 1 {
            bench.ready(0);
        }
        bench.says(client, &call("5"));
        expected.push(
            json!({"name": "c", "version": "1", "label": label, "directory": directory, "capabilities": []}),
        );
    }
    for (named, expected) in (2..).zip(expected) {
        let lines = bench.server_says(0, &ask("exai/client", &named.to_string()));
        let answer = only(&lines, "server 0");
        assert_eq!((lines.len(), &answer["id"], &answer["result"]), (1, &json!("s1"), &expected));
    }
    for params in ["{}", r#"{"_meta":{}}"#, r#"{"exai/request":2}"#] {
        let question = format!(r#"{{"jsonrpc":"2.0","id":"s1","method":"exai/client","params":{params}}}"#);
        assert_eq!(refused(&mut bench, 0, &question), -32602, "{params}");
    }
    assert!(!bench.measured && bench.router.counts().asked == 0);
}

#[test]
fn a_client_that_names_neither_itself_nor_its_version_is_described_with_nulls() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(
        1,
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
    );
    bench.ready(0);
    bench.says(1, &call("5"));
    let answer = only(&bench.server_says(0, &ask("exai/client", "2")), "server 0");
    assert_eq!(
        answer["result"],
        json!({"name": null, "version": null, "label": null, "directory": null, "capabilities": []})
    );
}
