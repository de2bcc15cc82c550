//! Malformed messages: those that an official SDK accepts are passed on, and for all others the caller gets an error at
//! once.

use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use crate::listening::listening;
use crate::support::{Client, Instance, LIMIT, fixture};

/// Texts that the Python or TypeScript SDK accepts as an answer, and the part of each that must arrive.
const ACCEPTED: [(&str, &str); 10] = [
    (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":1.0},"error":null}"#, r#""result":{"x":1.0}"#),
    (
        r#"{"jsonrpc":"2.0","id":ID,"result":null,"error":{"code":-5,"message":"m"}}"#,
        r#""error":{"code":-5,"message":"m"}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":-5,"message":"m"}}"#,
        r#""error":{"code":-5,"message":"m"}"#,
    ),
    (r#"{"jsonrpc":"2.0","id":ID.0,"result":{"x":1e2}}"#, r#""result":{"x":1e2}"#),
    (r#"{"jsonrpc":"2.0","id":"ID","result":{"x":2}}"#, r#""result":{"x":2}"#),
    (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":[NaN,-Infinity]}}"#, r#""result":{"x":[NaN,-Infinity]}"#),
    (r#"{"result":{"x":NaN},"jsonrpc":"2.0","id":ID}"#, r#""result":{"x":NaN}"#),
    (r#"{"jsonrpc":"2.0","id":ID,"r\u0065sult":{"x":3}}"#, r#""result":{"x":3}"#),
    (r#"{"jsonrpc":"\u0032.0","id":ID,"result":{"x":"\/"}}"#, r#""result":{"x":"\/"}"#),
    (
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#,
        r#""error":{"code":-32700,"message":"m"}"#,
    ),
];

/// Texts that no SDK accepts, and the words that tell the caller what is wrong.
const REFUSED: [(&str, &str); 12] = [
    (r#"{"id":ID,"result":{}}"#, "\"jsonrpc\" must be"),
    (r#"{"jsonrpc":"2.0","result":{}}"#, "must have an id"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":null}"#, "a result must be an object"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":"text"}"#, "a result must be an object"),
    (r#"{"jsonrpc":"2.0","id":ID,"error":"text"}"#, "an error must be an object"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":"%01"}}"#, "not valid JSON at byte"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":{}} x"#, "not valid JSON at byte"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":"#, "ends too early"),
    (r#"{"jsonrpc":"2.0","result":{"x":nul},"id":ID}"#, "not valid JSON at byte"),
    (r#"{"jsonrpc":"2.0","id":ID,"id":ID,"result":{}}"#, "twice"),
    (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":DEEP}}"#, "128 deep"),
    (r#"Loading... {"jsonrpc":"2.0","id":ID,"result":{}}"#, "stands before it"),
];

/// Texts that are wrong only because each message must be one line.
const LINES: [(&str, &str); 2] = [
    (
        "{%0A  \"jsonrpc\": \"2.0\",%0A  \"result\": {%0A    \"x\": 1%0A  },%0A  \"id\": ID%0A}",
        "several lines",
    ),
    ("%EF%BB%BF{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}}", "byte order mark"),
];

/// Makes the server answer with this text; returns the id of the request and the line that the client gets.
fn answered(client: &mut Client, text: &str) -> (Value, String) {
    let text = text.replace("DEEP", &("[".repeat(200) + &"]".repeat(200)));
    let id = client.request("tools/call", &json!({"name": "raw", "arguments": {"text": text}}));
    (id, client.receive_line())
}

fn accepts(client: &mut Client, text: &str, expected: &str) {
    let (id, line) = answered(client, text);
    assert!(line.contains(expected) && line.contains(&format!("\"id\":{id}")), "{text}: {line}");
    assert!(line.matches("\"error\"").count() + line.matches("\"result\"").count() == 1, "{line}");
}

fn refuses(client: &mut Client, text: &str, fault: &str) {
    let (id, line) = answered(client, text);
    let answer: Value = serde_json::from_str(&line).expect("an error of exai's own");
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-31002)), "{text}: {line}");
    let data = &answer["error"]["data"];
    assert_eq!((&data["sent"], &data["retrySafe"]), (&json!(true), &json!(false)), "{line}");
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains(fault), "{text}: {message}");
    assert!(message.chars().all(|letter| !letter.is_control()), "{message:?}");
}

fn finding(instance: &Instance) -> Option<String> {
    let status = instance.status();
    let mut findings = status["findings"].as_array().expect("findings").iter();
    findings
        .find(|one| one["id"] == "server-garbled")
        .and_then(|one| one["detail"].as_str().map(str::to_owned))
}

#[test]
fn answers_that_sdks_accept_pass_and_the_caller_of_any_other_is_told_at_once() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    for (text, expected) in ACCEPTED.iter().take(9) {
        accepts(&mut client, text, expected);
    }
    accepts(&mut client, "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"x\":\"caf%E9\"}}", "caf\u{fffd}");
    assert_eq!(finding(&instance), None);
    accepts(&mut client, ACCEPTED[9].0, ACCEPTED[9].1);
    for (text, fault) in REFUSED.iter().chain(&LINES) {
        refuses(&mut client, text, fault);
    }
    let detail = finding(&instance).expect("a finding");
    assert!(detail.contains("fix#1") && detail.contains(r#"{"jsonrpc":"2.0","id":null"#), "{detail}");
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    // While another request is under way, only the id shows which request the text answers.
    let other = client.request("tools/call", &json!({"name": "hang", "arguments": {"label": "x"}}));
    refuses(&mut client, LINES[0].0, LINES[0].1);
    refuses(&mut client, REFUSED[0].0, REFUSED[0].1);
    assert_eq!(client.call("echo", &json!({"message": "on"})), "on", "{other} waits");
    instance.ends(0, &["restart", "fix"]);
    assert_eq!(
        client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "new"}}))["error"],
        Value::Null
    );
    assert_eq!(finding(&instance), None, "it is another run");
}

#[test]
fn the_same_is_so_over_http() {
    for switches in [&[][..], &["--http-sse"]] {
        let instance = Instance::new(&listening(free_port(), switches));
        let mut client = instance.client("fix");
        for (text, expected) in ACCEPTED {
            accepts(&mut client, text, expected);
        }
        for (text, fault) in REFUSED.iter().take(9) {
            refuses(&mut client, text, fault);
        }
        assert!(finding(&instance).is_some(), "{switches:?}");
        assert_eq!(client.call("echo", &json!({"message": "on"})), "on");
    }
}

#[test]
fn a_server_whose_answer_to_initialize_is_malformed_fails_with_what_is_wrong_with_it() {
    let instance = Instance::new("");
    let answer = instance.dir().join("initialize");
    let text = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"protocolVersion\":\"2025-06-18\"}}";
    std::fs::write(&answer, text).expect("a file");
    let server = fixture("fix", &["--initialize", answer.to_str().expect("a path in UTF-8")]);
    instance.configure(&server);
    let answer = instance.shim(&["--server", "fix"]).initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains("byte order mark"), "{message}");
}

#[test]
fn text_on_stdout_goes_to_the_log_and_the_reason_quotes_its_first_line() {
    let servers = fixture("silent", &["--print-garbage", "--hang-at-start"])
        + "start_timeout = \"3s\"\n"
        + &fixture("dies", &["--print-garbage", "--die-at-start", "no licence"])
        + &fixture("fine", &["--print-garbage"]);
    let instance = Instance::new(&servers);
    for server in ["silent", "dies"] {
        let answer = instance.shim(&["--server", server]).initialize(&json!({}));
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("\"fixture-server 1.0 starting\""), "{server}: {message}");
        let tail = answer["error"]["data"]["stderrTail"].as_str().unwrap_or_default();
        assert!(tail.contains("fixture-server 1.0 starting"), "{server}: {answer}");
    }
    let mut fine = instance.client("fine");
    assert_eq!(fine.call("echo", &json!({"message": "fine"})), "fine");
    for server in ["silent", "dies", "fine"] {
        eventually("its text is in its log", LIMIT, || {
            let log =
                std::fs::read(instance.home().join(format!("log/server-{server}.log"))).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            log.contains("fixture-server 1.0 starting") && log.contains("{\"almost\": json")
        });
    }
    assert_eq!(finding(&instance), None, "text is no fault");
    let died = fine.ask("tools/call", &json!({"name": "die", "arguments": {"code": 7}}));
    let message = died["error"]["message"].as_str().expect("a message");
    assert!(!message.contains("printed on stdout"), "it has spoken: {message}");
}

#[test]
fn a_malformed_answer_of_a_client_is_an_error_for_the_server_that_asked() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.shim(&["--server", "fix"]);
    client.initialize(&json!({"roots": {}}));
    let cases = [
        (r#"{"jsonrpc":"2.0","id":ID,"result":"text"}"#, "a result must be an object"),
        (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":nul}}"#, "not valid JSON"),
        (r#"{"id":ID,"result":{"roots":[]}}"#, "must be"),
        (r#"{"jsonrpc":"2.0","id":ID.0,"result":{"roots":[]},"error":null}"#, "\"roots\":[]"),
    ];
    for (text, expected) in cases {
        let id = client.request("tools/call", &json!({"name": "ask_roots", "arguments": {}}));
        let question = client.receive();
        assert_eq!(question["method"], "roots/list", "{question}");
        client.write((text.replace("ID", &question["id"].to_string()) + "\n").as_bytes());
        let answer = client.answer(&id);
        let told = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn a_malformed_request_is_answered_under_its_id_and_escapes_mean_what_they_stand_for() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    for (text, code) in [
        ("{\"jsonrpc\":\"2.0\",\"id\":70,\"method\":\"ping\",\"params\":{\"x\":NaN}}", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":70,\"method\":\"ping\"} x", -32700),
        ("{\"jsonrpc\":\"1.0\",\"id\":70,\"method\":\"ping\"}", -32600),
    ] {
        client.write((text.to_owned() + "\n").as_bytes());
        let answer = client.receive();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(70), &json!(code)), "{text}: {answer}");
    }
    for text in [
        r#"{"jsonrpc":"2.0","id":70,"method":"tools\/call","params":{"name":"echo","arguments":{"message":"m"}}}"#,
        r#"{"jsonrpc":"2.0","id":70.0,"m\u0065thod":"\u0074ools/call","params":{"n\u0061me":"echo","arguments":{"message":"m"}},"error":null}"#,
    ] {
        client.write((text.to_owned() + "\n").as_bytes());
        let answer = client.receive();
        assert_eq!(
            (answer["id"].as_f64(), &answer["result"]["content"][0]["text"]),
            (Some(70.0), &json!("m")),
            "{answer}"
        );
    }
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    all.write(b"{\"jsonrpc\":\"2.0\",\"id\":70,\"method\":\"tools\\/list\"}\n");
    let list = all.answer(&json!(70));
    assert!(
        list["result"]["tools"]
            .as_array()
            .is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "fix__echo")),
        "{list}"
    );
}
