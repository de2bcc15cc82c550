//! The fixture server behaves as the tests that use it assume.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The fixture as a client sees it. It ends when this is dropped.
struct Fixture {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Fixture {
    fn start(switches: &[&str]) -> Self {
        let mut child = Command::new(exai_test::program("fixture-server"))
            .args(switches)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn call(&mut self, id: u64, tool: &str, arguments: &Value) {
        self.send(&call_line(id, tool, arguments));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the fixture ended");
        line.trim_end().to_owned()
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn next_text(&mut self) -> String {
        self.next()["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

fn call_line(id: u64, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn answers_in_the_version_of_the_client_when_it_knows_it() {
    let mut fixture = Fixture::start(&["--name", "other"]);
    for (asked, answered) in [("2024-11-05", "2024-11-05"), ("2099-01-01", "2025-11-25")] {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {}});
        fixture.send(&json!({"id": 1, "method": "initialize", "params": params}).to_string());
        let result = &fixture.next()["result"];
        assert_eq!(
            (&result["protocolVersion"], &result["serverInfo"]["name"]),
            (&json!(answered), &json!("other"))
        );
    }
}

#[test]
fn ids_and_params_come_back_as_they_were_written() {
    let mut fixture = Fixture::start(&[]);
    fixture.send(r#"{"id":1.50,"method":"tools/call","params":{ "name":"params","x":1e2}}"#);
    let line = fixture.line();
    assert!(line.starts_with(r#"{"jsonrpc":"2.0","id":1.50,"result":{"#), "{line}");
    assert!(line.contains(r#""text":"{ \"name\":\"params\",\"x\":1e2}""#), "{line}");
    assert!(line.contains(r#""x-vendor":{"a":1.0,"b":[1e2,-0.0]"#), "{line}");
}

#[test]
fn delayed_answers_overlap_and_overtake() {
    let mut fixture = Fixture::start(&[]);
    // In one write, so that all delays begin at the same moment.
    let calls = [
        call_line(1, "delay", &json!({"ms": 1000, "message": "slow"})),
        call_line(2, "delay", &json!({"ms": 500, "message": "middle"})),
        call_line(3, "echo", &json!({"message": "fast"})),
    ];
    fixture.send(&calls.join("\n"));
    let order: Vec<String> = (0..3).map(|_| fixture.next_text()).collect();
    assert_eq!(order, ["fast", "middle", "slow"]);
}

#[test]
fn every_nonce_of_many_comes_back_once() {
    const CALLS: u64 = 20_000;
    let mut fixture = Fixture::start(&[]);
    let mut input = fixture.input.take().unwrap();
    let writer = std::thread::spawn(move || {
        for id in 0..CALLS {
            writeln!(
                input,
                r#"{{"id":{id},"method":"tools/call","params":{{"name":"nonce","arguments":{{"nonce":"n{id}","max_delay_ms":20}}}}}}"#
            )
            .unwrap();
        }
        input
    });
    let mut seen = vec![false; usize::try_from(CALLS).unwrap()];
    let mut out_of_order = 0;
    let mut last = 0;
    for _ in 0..CALLS {
        let answer = fixture.next();
        let id = answer["id"].as_u64().unwrap();
        assert_eq!(answer["result"]["content"][0]["text"], format!("n{id}"));
        let index = usize::try_from(id).unwrap();
        assert!(!std::mem::replace(&mut seen[index], true), "{id} twice");
        out_of_order += usize::from(id < last);
        last = id;
    }
    assert!(out_of_order > 100, "only {out_of_order} answers came out of order");
    drop(writer.join().unwrap());
}

#[test]
fn progress_comes_before_the_answer_and_bears_the_token() {
    let mut fixture = Fixture::start(&[]);
    fixture.call(7, "progress", &json!({"steps": 2, "ms": 1}));
    for step in [1.0, 2.0] {
        let params = &fixture.next()["params"];
        assert_eq!((&params["progressToken"], &params["progress"]), (&json!(7), &json!(step)));
    }
    assert_eq!(fixture.next_text(), "2 steps");
}

#[test]
fn a_cancelled_call_is_listed_and_not_answered() {
    let mut fixture = Fixture::start(&[]);
    let cancel = |id: u64| {
        let params = json!({"requestId": id, "reason": "why not"});
        json!({"method": "notifications/cancelled", "params": params}).to_string()
    };
    // In one write, so that nothing is answered because this test was held up.
    let lines = [
        call_line(1, "hang", &json!({"label": "h"})),
        call_line(2, "delay", &json!({"ms": 300, "message": "late"})),
        cancel(1),
        cancel(2),
        cancel(99),
        call_line(3, "delay", &json!({"ms": 600, "message": "later"})),
    ];
    fixture.send(&lines.join("\n"));
    assert_eq!(fixture.next_text(), "later");
    fixture.call(4, "cancelled", &json!({}));
    let list: Value = serde_json::from_str(&fixture.next_text()).unwrap();
    assert_eq!(
        list,
        json!([
            {"id": 1, "tool": "hang", "label": "h", "reason": "why not"},
            {"id": 2, "tool": "delay", "label": "late", "reason": "why not"},
        ])
    );
}

#[test]
fn asks_the_client_and_tells_what_it_said() {
    let mut fixture = Fixture::start(&[]);
    fixture.call(1, "ask_sampling", &json!({"prompt": "think"}));
    let question = fixture.next();
    assert_eq!(question["method"], "sampling/createMessage");
    let answer = json!({"id": question["id"], "error": {"code": -1, "message": "no"}});
    fixture.send(&answer.to_string());
    assert_eq!(fixture.next_text(), r#"{"error":{"code":-1,"message":"no"}}"#);
}

#[test]
fn lists_come_in_pages_and_change() {
    let mut fixture = Fixture::start(&["--tools-per-page", "20"]);
    fixture.call(1, "change_tools", &json!({}));
    assert_eq!(fixture.next()["method"], "notifications/tools/list_changed");
    fixture.next();
    let mut names = Vec::new();
    let mut cursor = Value::Null;
    loop {
        fixture.send(&json!({"id": 2, "method": "tools/list", "params": {"cursor": cursor}}).to_string());
        let result = fixture.next()["result"].clone();
        names.extend(result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()));
        cursor = result["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((names.len(), names.last()), (29, Some(&json!("extra_1"))));

    fixture.send(r#"{"id":3,"method":"resources/list"}"#);
    let cursor = fixture.next()["result"]["nextCursor"].clone();
    fixture.send(&json!({"id": 4, "method": "resources/list", "params": {"cursor": cursor}}).to_string());
    assert!(fixture.next()["result"]["nextCursor"].is_null());
}

#[test]
fn only_subscribers_and_wanted_levels_are_notified() {
    let mut fixture = Fixture::start(&[]);
    fixture.call(1, "touch_resource", &json!({"uri": "test://static"}));
    assert_eq!(fixture.next_text(), "not subscribed");
    fixture.send(r#"{"id":2,"method":"resources/subscribe","params":{"uri":"test://static"}}"#);
    fixture.next();
    fixture.call(3, "touch_resource", &json!({"uri": "test://static"}));
    assert_eq!(fixture.next()["params"]["uri"], "test://static");
    assert_eq!(fixture.next_text(), "sent");

    fixture.send(r#"{"id":4,"method":"logging/setLevel","params":{"level":"error"}}"#);
    fixture.next();
    fixture.call(5, "log", &json!({"level": "info", "text": "t"}));
    assert_eq!(fixture.next_text(), "not wanted");
    fixture.call(6, "log", &json!({"level": "alert", "text": "t"}));
    assert_eq!(fixture.next()["params"]["level"], "alert");
}

#[test]
fn executed_calls_are_in_the_ledger_before_the_answer() {
    let ledger = std::env::temp_dir().join(format!("fixture-ledger-{}", std::process::id()));
    let mut fixture = Fixture::start(&["--ledger", ledger.to_str().unwrap()]);
    fixture.call(1, "echo", &json!({"message": "one"}));
    fixture.next();
    fixture.call(2, "no such tool", &json!({}));
    assert_eq!(fixture.next()["error"]["code"], -32602);
    for id in 3..5 {
        fixture.call(id, "append", &json!({"message": "two"}));
        assert_eq!(fixture.next_text(), "two");
    }
    let text = std::fs::read_to_string(&ledger).unwrap();
    std::fs::remove_file(&ledger).unwrap();
    assert_eq!((text.lines().count(), text.matches("two").count()), (3, 2), "{text}");
}

#[test]
fn it_misbehaves_as_told() {
    let mut fixture = Fixture::start(&["--print-garbage", "--bad-ids"]);
    fixture.call(1, "echo", &json!({"message": "m"}));
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains(r#""id":1,"#)) {
        let mut line = Vec::new();
        fixture.output.read_until(b'\n', &mut line).unwrap();
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    let odd = lines.iter().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert_eq!((odd, lines.len()), (8, 12), "{lines:#?}");

    let mut fixture = Fixture::start(&["--die-at-start", "no luck"]);
    assert_eq!(fixture.child.wait().unwrap().code(), Some(3));
    let mut fixture = Fixture::start(&["--exit-on-early"]);
    fixture.send(r#"{"id":1,"method":"server/discover"}"#);
    assert_eq!(fixture.child.wait().unwrap().code(), Some(4));
    let mut fixture = Fixture::start(&[]);
    fixture.call(1, "die", &json!({"code": 9}));
    assert_eq!(fixture.child.wait().unwrap().code(), Some(9));
}

#[test]
fn it_ends_with_its_input() {
    let mut fixture = Fixture::start(&[]);
    fixture.input = None;
    assert_eq!(fixture.child.wait().unwrap().code(), Some(0));
}
