//! Garbage from clients and servers leads to one clear error for exactly the caller, and does not affect anyone else.

use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT, fixture};

fn works(client: &mut Client) {
    assert_eq!(client.call("echo", &json!({"message": "fine"})), "fine");
}

#[test]
fn what_is_no_message_is_answered_once_and_the_conversation_goes_on() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let cases: [(&[u8], i64, Value); 10] = [
        (b"garbage", -32700, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,", -32700, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", -32700, Value::Null),
        (b"[]", -32600, Value::Null),
        (b"\"text\"", -32600, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":8}", -32600, json!(8)),
        (b"{\"id\":8,\"method\":\"ping\"}", -32600, json!(8)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"id\":9,\"method\":\"ping\"}", -32600, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/call\",\"params\":[1]}", 0, json!(8)),
    ];
    for (line, code, id) in cases {
        client.write(&[line, b"\r\n\n   \n"].concat());
        let answer = client.receive();
        if code != 0 {
            assert_eq!(answer["error"]["code"], code, "{}: {answer}", String::from_utf8_lossy(line));
        }
        if !id.is_null() {
            assert_eq!(answer["id"], id, "{answer}");
        }
        works(&mut client);
    }
    client.write(b"{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":");
    client.write(b"\"ping\"}\n");
    assert_eq!(client.receive(), json!({"jsonrpc": "2.0", "id": 77, "result": {}}), "a line in two parts");
}

#[test]
fn a_byte_order_mark_at_the_start_is_no_error() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.shim(&["--server", "fix"]);
    client.write(b"\xef\xbb\xbf");
    client.initialize(&json!({}));
    works(&mut client);
}

#[test]
fn nesting_without_end_is_refused_and_so_is_a_message_that_is_too_long() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"x\",\"params\":{{\"a\":{}}}}}\n",
        "[".repeat(100_000)
    );
    client.write(deep.as_bytes());
    assert_eq!(client.receive()["error"]["code"], -32600);
    let mut other = instance.client("fix");
    let half = vec![b'x'; 1 << 20];
    client.write(b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":\"");
    for _ in 0..40 {
        client.write(&half);
        works(&mut other);
    }
    client.write(b"\"}}}\n");
    let answer = client.receive();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(6), &json!(-31007)));
    assert_eq!(answer["error"]["data"]["sent"], false);
    works(&mut client);
}

#[test]
fn messages_of_many_mebibytes_pass_both_ways() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let large = "y".repeat(20 << 20);
    assert_eq!(client.call("echo", &json!({"message": large})).len(), large.len());
    let answer = client.ask("tools/call", &json!({"name": "big", "arguments": {"bytes": 40 << 20}}));
    assert_eq!(answer["error"]["code"], -31007, "an answer that is too long is an error for its caller");
    assert_eq!(answer["error"]["data"]["sent"], true);
    works(&mut client);
}

#[test]
fn servers_that_print_noise_or_answer_nobody_are_still_of_use() {
    let instance = Instance::new(
        &(fixture("noise", &["--print-garbage", "--stderr-noise", "64"]) + &fixture("ids", &["--bad-ids"])),
    );
    for server in ["noise", "ids"] {
        works(&mut instance.client(server));
    }
}

#[test]
fn a_server_that_cannot_start_says_why_to_who_asked_and_nobody_else_notices() {
    let servers = fixture("dies", &["--die-at-start", "no licence found"])
        + "[servers.missing]\ncommand = \"no-such-program-anywhere\"\n"
        + "[servers.unset]\ncommand = \"x\"\nargs = [\"${env:NO_SUCH_VARIABLE}\"]\n"
        + &fixture("hangs", &["--hang-at-start"])
        + "start_timeout = \"1s\"\n"
        + &fixture("fine", &[]);
    let instance = Instance::new(&servers);
    let mut fine = instance.client("fine");
    let mut hangs = instance.shim(&["--server", "hangs"]);
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}});
    let id = hangs.request("initialize", &hello);
    for (server, expected) in
        [("dies", "no licence found"), ("missing", "no-such-program-anywhere"), ("unset", "NO_SUCH_VARIABLE")]
    {
        let answer = instance.shim(&["--server", server]).initialize(&json!({}));
        assert_eq!(answer["error"]["code"], -31006, "{answer}");
        assert!(answer["error"].to_string().contains(expected), "{answer}");
        works(&mut fine);
    }
    let answer = hangs.answer(&id);
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("within 1 s")), "{answer}");
}

#[test]
fn a_server_that_dies_takes_only_its_callers_with_it_and_is_back_for_the_next_call() {
    let instance = Instance::new(&(fixture("fix", &[]) + &fixture("other", &[])));
    let (mut one, mut two, mut other) =
        (instance.client("fix"), instance.client("fix"), instance.client("other"));
    let hanging = two.request("tools/call", &json!({"name": "hang", "arguments": {"label": "x"}}));
    // The call must reach the server that is about to die, not the next run of the server.
    eventually("the call is under way", LIMIT, || {
        let status = instance.status();
        status["clients"].as_array().into_iter().flatten().any(|client| client["in_flight"] == json!(1))
    });
    let dying = one.request("tools/call", &json!({"name": "die", "arguments": {"code": 7}}));
    let answer = one.answer(&dying);
    assert_eq!(answer["error"]["code"], -31005);
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("status 7")), "{answer}");
    assert_eq!(two.answer(&hanging)["error"]["code"], -31005);
    works(&mut other);
    works(&mut one);
    works(&mut two);
}

#[test]
fn output_without_a_line_end_stays_within_bounds() {
    let instance = Instance::new(&(fixture("endless", &[]) + &fixture("fine", &[])));
    let mut endless = instance.client("endless");
    let before = instance.memory();
    let mut fine = instance.client("fine");
    endless.request("tools/call", &json!({"name": "flood", "arguments": {"bytes": 400 << 20}}));
    let start = Instant::now();
    let mut peak = 0;
    while start.elapsed() < Duration::from_secs(3) {
        works(&mut fine);
        peak = peak.max(instance.memory());
    }
    assert!(peak < before + (96 << 20), "from {before} to {peak} bytes");
    works(&mut fine);
}

#[test]
fn a_server_is_sent_no_line_that_no_client_would_send() {
    let instance = Instance::with_fixture(&["--stderr-noise", "1"]);
    let mut client = instance.client("fix");
    works(&mut client);
    let log = instance.home().join("log/server-fix.log");
    let mut lengths: Vec<usize> = Vec::new();
    eventually("the server was pinged", LIMIT, || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let told = text.lines().filter_map(|line| line.strip_prefix("fixture noise: ")?.split(' ').next());
        lengths = told.filter_map(|number| number.parse().ok()).collect();
        // `initialize`, `initialized`, the call, and the request that exai itself makes.
        lengths.len() >= 4
    });
    assert!(lengths.iter().all(|length| *length < 512), "{lengths:?}");
}
