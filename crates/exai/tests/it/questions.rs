//! I04: a server's question reaches the client whose call caused it, or no client at all.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use exai_test::scaled;
use serde_json::{Value, json};

use crate::support::{Instance, fixture};
use crate::ways::{Door, Party, WAYS};

const CLIENTS: usize = 50;
/// The tools that ask, and the method of each tool's question.
const ASKING: [(&str, &str); 3] = [
    ("ask_sampling", "sampling/createMessage"),
    ("ask_elicitation", "elicitation/create"),
    ("ask_roots", "roots/list"),
];

#[derive(Default)]
struct Tally {
    asked: AtomicUsize,
    refused: AtomicUsize,
    calls: AtomicUsize,
}

/// Calls a tool that asks, answers the question, and checks that the question and the answer belong to this client.
fn exchange(party: &mut Party, nonce: &str, (tool, method): (&str, &str), tally: &Tally) {
    let arguments = json!({"prompt": nonce, "message": nonce});
    let id = party.request("tools/call", &json!({"name": tool, "arguments": arguments}));
    let answer = loop {
        let message = party.receive();
        if message.get("method").is_none() {
            assert_eq!(message["id"], id, "{nonce} has heard another's answer: {message}");
            break message;
        }
        assert_eq!(message["method"], method, "{nonce} is asked what it did not cause: {message}");
        // A question for roots does not show which client it is for; the answer to the call shows it.
        assert!(method == "roots/list" || message.to_string().contains(nonce), "{nonce} is asked {message}");
        tally.asked.fetch_add(1, Ordering::Relaxed);
        let result = match method {
            "sampling/createMessage" => {
                json!({"role": "assistant", "content": {"type": "text", "text": nonce}, "model": "m"})
            }
            "elicitation/create" => json!({"action": "accept", "content": {"answer": nonce}}),
            _ => json!({"roots": [{"uri": format!("file:///{nonce}")}]}),
        };
        party.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
    };
    tally.calls.fetch_add(1, Ordering::Relaxed);
    // The fixture answers the call with the answer to its question, in which the id is that of its own question.
    let told: Value = answer["result"]["content"][0]["text"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| panic!("{nonce}: {answer}"));
    if told["error"]["code"] == -32603 {
        assert!(told.to_string().contains("cannot tell which client"), "{told}");
        tally.refused.fetch_add(1, Ordering::Relaxed);
    } else {
        assert!(told.to_string().contains(nonce), "{nonce} was answered with another's words: {told}");
    }
}

fn run(share: &str, clients: usize) -> Tally {
    let instance = Instance::new(&(fixture("fix", &[]) + &format!("share = \"{share}\"\n")));
    let door = Door::of(&instance);
    let can = json!({"sampling": {}, "elicitation": {}, "roots": {}});
    let (tally, all_there) = (Tally::default(), Barrier::new(clients));
    thread::scope(|scope| {
        for number in 0..clients {
            let (instance, door, can, tally, all_there) = (&instance, &door, &can, &tally, &all_there);
            scope.spawn(move || {
                let way = WAYS[number % WAYS.len()];
                let mut party = Party::join(instance, door, way, Some("fix"), can);
                all_there.wait();
                for round in 0..scaled(4) {
                    let nonce = format!("nonce-{number}-{round}-");
                    exchange(&mut party, &nonce, ASKING[(number + round) % ASKING.len()], tally);
                }
                all_there.wait();
                let more = party.call("echo", &json!({"message": "end"}));
                assert_eq!((more.as_str(), party.aside.len()), ("end", 0), "{:?}", party.aside);
            });
        }
    });
    tally
}

fn say(share: &str, clients: usize, tally: &Tally) {
    let [asked, refused, calls] =
        [&tally.asked, &tally.refused, &tally.calls].map(|of| of.load(Ordering::Relaxed));
    assert_eq!((calls, asked + refused), (clients * scaled(4), calls));
    eprintln!(
        "share = {share}, {clients} clients, {calls} calls that make the server ask: {asked} questions, each to the \
         client that caused it, 0 to others; {refused} refused because it could not be known who was meant"
    );
}

#[test]
fn of_fifty_clients_of_one_process_each_is_asked_what_its_own_calls_caused() {
    let tally = run("shared", CLIENTS);
    say("shared", CLIENTS, &tally);
}

#[test]
fn clients_that_can_be_asked_get_a_process_each_when_it_is_seen_that_they_are() {
    let tally = run("auto", 12);
    say("auto", 12, &tally);
}

#[test]
fn consent_that_comes_late_over_another_link_is_consent_to_nothing() {
    let instance = Instance::new(&fixture("fix", &[]));
    let door = Door::of(&instance);
    let answer = |id: &Value, action: &str| json!({"jsonrpc": "2.0", "id": id, "result": {"action": action}});
    for way in WAYS {
        let mut asked: Vec<Value> = Vec::new();
        // The same program connects again and again. Each time it is asked, and loses its link before its user has
        // answered.
        for round in 0..4 {
            let mut party = Party::join(&instance, &door, way, Some("fix"), &json!({"elicitation": {}}));
            let arguments = json!({"message": format!("may I do {round}?")});
            let call =
                party.request("tools/call", &json!({"name": "ask_elicitation", "arguments": arguments}));
            let question = party.receive();
            assert_eq!(question["method"], "elicitation/create", "{way:?}: {question}");
            for late in &asked {
                party.send(&answer(late, "accept"));
            }
            asked.push(question["id"].clone());
            if round == 3 {
                party.send(&answer(&question["id"], "decline"));
                let told = party.answer(&call).to_string();
                assert!(told.contains("decline") && !told.contains("accept"), "{way:?}, {asked:?}: {told}");
            }
        }
    }
}
