//! A client whose daemon dies, hangs or is away for long: the answers that it gets, and that it goes on.

use std::thread;
use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::faults::{daemon, end, signal};
use crate::support::{Client, Instance, LIMIT, fixture};

const SECOND: Duration = Duration::from_secs(1);

/// An instance with a fixture that notes each executed call in a ledger.
struct World {
    instance: Instance,
    _dir: tempfile::TempDir,
    ledger: std::path::PathBuf,
}

impl World {
    fn new() -> Self {
        World::configured("")
    }

    /// A world whose fixture has more keys in its configuration.
    fn configured(keys: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = dir.path().join("ledger");
        let server = fixture("fix", &["--ledger", ledger.to_str().expect("a path")]);
        let instance = Instance::new(&format!("{server}{keys}\n"));
        World { instance, _dir: dir, ledger }
    }

    fn executed(&self, what: &str) -> usize {
        std::fs::read_to_string(&self.ledger).unwrap_or_default().matches(what).count()
    }

    /// Makes a call that is executed but never answered.
    fn hanging(&self, client: &mut Client, label: &str) -> Value {
        let id = client.request("tools/call", &json!({"name": "hang", "arguments": {"label": label}}));
        eventually("the call is executed", LIMIT, || self.executed(label) == 1);
        id
    }
}

/// Makes a call, which must succeed, and returns all messages that come before its answer.
fn before_the_next_answer(client: &mut Client) -> Vec<Value> {
    before_the_next_call(client, "echo")
}

fn before_the_next_call(client: &mut Client, tool: &str) -> Vec<Value> {
    let id = client.request("tools/call", &json!({"name": tool, "arguments": {"message": "next"}}));
    let mut seen = Vec::new();
    loop {
        let message = client.receive();
        if message["id"] == id {
            assert_eq!(message["result"]["content"][0]["text"], "next", "{message}");
            return seen;
        }
        seen.push(message);
    }
}

#[test]
fn what_can_do_no_harm_is_answered_by_the_next_daemon_once() {
    let world = World::new();
    let mut client = world.instance.client("fix");
    client.call("pid", &json!({}));
    let killed = daemon(&world.instance);
    // The frozen daemon reads none of these requests before it dies.
    signal("STOP", killed.pid);
    let asked = [
        ("tools/list", json!({}), "tools"),
        ("resources/read", json!({"uri": "test://static"}), "contents"),
        ("prompts/list", json!({}), "prompts"),
        ("resources/templates/list", json!({}), "resourceTemplates"),
    ];
    let ids: Vec<Value> = asked.iter().map(|(method, params, _)| client.request(method, params)).collect();
    let call = client.request("tools/call", &json!({"name": "echo", "arguments": {"message": "unread"}}));
    client.flush();
    let begun = Instant::now();
    end(&killed);
    let answer = client.answer(&call);
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    assert_eq!(answer["error"]["code"], -31002, "{answer}");
    assert_eq!(answer["error"]["data"]["tool"], "echo", "{answer}");
    for ((method, _, member), id) in asked.iter().zip(&ids) {
        let answer = client.answer(id);
        assert!(answer["result"][member].is_array(), "{method}: {answer}");
    }
    eprintln!("lists and reads of a daemon that was killed are answered after {:.2?}", begun.elapsed());
    let seen = before_the_next_answer(&mut client);
    assert!(seen.iter().all(|message| message.get("id").is_none()), "a second answer: {seen:?}");
    assert_eq!(world.executed("unread"), 0, "what is told as perhaps executed is not repeated");
}

#[test]
fn a_call_that_may_have_been_executed_gets_one_error_and_one_that_was_cancelled_nothing() {
    let world = World::new();
    let mut client = world.instance.client("fix");
    let hanging = world.hanging(&mut client, "first");
    let unwanted = world.hanging(&mut client, "second");
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": unwanted}}),
    );
    eventually("the server hears of it", LIMIT, || client.call("cancelled", &json!({})).contains("second"));
    let begun = Instant::now();
    end(&daemon(&world.instance));
    let message = client.receive();
    let took = begun.elapsed();
    assert_eq!((&message["id"], &message["error"]["code"]), (&hanging, &json!(-31002)), "{message}");
    assert_eq!(message["error"]["data"]["tool"], "hang", "{message}");
    assert!(took < SECOND, "{took:?}");
    assert_eq!(before_the_next_answer(&mut client), Vec::<Value>::new());
    assert_eq!((world.executed("first"), world.executed("second")), (1, 1));
    // No request of the shim is open any more.
    let took = client.finish();
    assert!(took < SECOND, "{took:?}");
}

/// Kills the daemon while the server works on a call of this tool, once on the endpoint of the server and once on that
/// of all servers. Returns both answers, each with the number of executions.
fn killed_within_a_call(world: &World, tool: &str) -> [(Value, usize); 2] {
    [(&["--server", "fix"][..], ""), (&[], "fix__")].map(|(server, prefix)| {
        let mut client = world.instance.shim(server);
        client.initialize(&json!({}));
        let listed = client.ask("tools/list", &json!({}));
        assert!(listed["result"]["tools"].is_array(), "{listed}");
        // Messages of the daemon for the shim alone come before this answer.
        client.call(&format!("{prefix}pid"), &json!({}));
        let label = format!("{tool} over {server:?}");
        let arguments = json!({"message": label, "ms": 1000});
        let call = json!({"name": format!("{prefix}{tool}"), "arguments": arguments});
        let id = client.request("tools/call", &call);
        let executed = || world.executed(&json!(label).to_string());
        eventually("the call is executed", LIMIT, || executed() == 1);
        let begun = Instant::now();
        end(&daemon(&world.instance));
        let answer = client.answer(&id);
        eprintln!("{label}: answered after {:.2?}", begun.elapsed());
        let seen = before_the_next_call(&mut client, &format!("{prefix}echo"));
        assert!(seen.iter().all(|message| message.get("id").is_none()), "a second answer: {seen:?}");
        (answer, executed())
    })
}

#[test]
fn a_call_that_a_trusted_server_declares_harmless_is_executed_again_by_the_next_daemon() {
    let world = World::new();
    for (answer, executed) in killed_within_a_call(&world, "look") {
        let text = answer["result"]["content"][0]["text"].as_str();
        assert!(text.is_some_and(|text| text.starts_with("look over")), "{answer}");
        assert_eq!(executed, 2);
    }
    for (answer, executed) in killed_within_a_call(&world, "delay") {
        assert_eq!(
            (&answer["error"]["code"], executed),
            (&json!(-31002), 1),
            "it declares nothing: {answer}"
        );
    }
}

#[test]
fn the_word_of_a_server_that_is_not_trusted_repeats_nothing() {
    let world = World::configured("trusted = false");
    for (answer, executed) in killed_within_a_call(&world, "look") {
        assert_eq!((&answer["error"]["code"], executed), (&json!(-31002), 1), "{answer}");
    }
}

#[test]
fn subscriptions_and_log_level_are_restored_and_what_may_have_changed_is_said() {
    for (server, prefix) in [(&["--server", "fix"][..], ""), (&[], "fix__")] {
        let instance = Instance::with_fixture(&[]);
        let mut client = instance.shim(server);
        client.initialize(&json!({}));
        for (method, params) in [
            ("tools/list", json!({})),
            ("logging/setLevel", json!({"level": "error"})),
            ("resources/subscribe", json!({"uri": "test://static"})),
            ("resources/subscribe", json!({"uri": "test://big"})),
            ("resources/unsubscribe", json!({"uri": "test://big"})),
        ] {
            let answer = client.ask(method, &params);
            assert!(answer.get("result").is_some(), "{method}: {answer}");
        }
        let tool = |name: &str| format!("{prefix}{name}");
        for round in 1..=2 {
            end(&daemon(&instance));
            let mut told: Vec<Value> = vec![client.receive(), client.receive()];
            told.sort_by_key(|message| message["method"].to_string());
            assert_eq!(told[0]["params"]["uri"], "test://static", "{told:?}");
            let methods: Vec<&str> = told.iter().filter_map(|message| message["method"].as_str()).collect();
            assert_eq!(methods, ["notifications/resources/updated", "notifications/tools/list_changed"]);
            let subscriptions = client.call(&tool("subscriptions"), &json!({}));
            assert_eq!(subscriptions, r#"["test://static"]"#, "{prefix}, round {round}");
            let log = |level: &str| json!({"level": level, "text": "x"});
            assert_eq!(client.call(&tool("log"), &log("warning")), "not wanted", "{prefix}");
            assert_eq!(client.call(&tool("log"), &log("error")), "sent");
            assert_eq!(client.call(&tool("touch_resource"), &json!({"uri": "test://static"})), "sent");
        }
    }
}

#[test]
fn a_daemon_that_hangs_in_the_middle_of_a_call_is_given_up_and_serves_again_when_it_goes_on() {
    let world = World::new();
    let mut client = world.instance.client("fix");
    let hanging = world.hanging(&mut client, "first");
    let frozen = daemon(&world.instance);
    signal("STOP", frozen.pid);
    let begun = Instant::now();
    let answer = client.answer(&hanging);
    let took = begun.elapsed();
    eprintln!("the call of a daemon that hangs is answered after {took:.1?}");
    assert_eq!(answer["error"]["code"], -31002, "{answer}");
    assert!(took < SECOND * 12, "{took:?}");
    let later = client.request("tools/call", &json!({"name": "echo", "arguments": {"message": "later"}}));
    thread::sleep(SECOND); // the call waits, or gets an error
    signal("CONT", frozen.pid);
    assert_eq!(client.answer(&later)["result"]["content"][0]["text"], "later");
    assert_eq!(before_the_next_answer(&mut client), Vec::<Value>::new());
    assert_eq!(daemon(&world.instance), frozen, "nobody has started another");
    assert_eq!(world.executed("first"), 1);
}

#[test]
fn a_call_that_takes_long_is_no_sign_of_a_daemon_that_hangs() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    assert_eq!(client.call("delay", &json!({"ms": 12_000, "message": "at last"})), "at last");
}

#[test]
fn a_daemon_that_cannot_start_for_long_is_found_again_by_the_shim_itself() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    // A file in the place of the directory makes every start fail.
    let (servers, away) = (instance.home().join("servers"), instance.home().join("away"));
    std::fs::rename(&servers, &away).expect("it is moved");
    std::fs::write(&servers, "").expect("a file");
    end(&daemon(&instance));
    let begun = Instant::now();
    let echo = json!({"name": "echo", "arguments": {"message": "x"}});
    let mut told = 0;
    while begun.elapsed() < SECOND * 16 {
        let asked = Instant::now();
        let answer = client.ask("tools/call", &echo);
        assert_eq!(answer["error"]["code"], -31001, "{answer}");
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("servers is not a directory"), "it says why: {said}");
        assert!(asked.elapsed() < SECOND * 16, "{:?}", asked.elapsed());
        told += 1;
        thread::sleep(SECOND);
    }
    std::fs::remove_file(&servers).expect("it is removed");
    std::fs::rename(&away, &servers).expect("it is back");
    let mended = Instant::now();
    // While a start keeps failing, the shim tries again about every 30 s, give or take a quarter.
    eventually("a call succeeds", SECOND * 45, || client.ask("tools/call", &echo).get("result").is_some());
    eprintln!("{told} calls were told why; {:.1?} after it was mended they succeed", mended.elapsed());
}

#[test]
fn a_shim_that_owes_nothing_sleeps() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    client.call("echo", &json!({"message": "x"}));
    let tasks = format!("/proc/{}/task", client.pid());
    let woken = || -> u64 {
        let tasks = std::fs::read_dir(&tasks).expect("its threads").flatten();
        // A thread may end meanwhile.
        let status = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
        let count = |status: String| -> Option<u64> {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().last()?.parse().ok()
        };
        status.filter_map(count).sum()
    };
    // The thread that keeps the time wakes once more after the call.
    eventually("nobody is woken for two seconds", SECOND * 15, || {
        let before = woken();
        thread::sleep(SECOND * 2);
        woken() == before
    });
}
