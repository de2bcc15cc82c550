//! I05: nothing that a client says about things of another client has an effect.

use std::collections::BTreeMap;

use exai_test::{Random, eventually, scaled};
use serde_json::{Value, json};

use crate::http::HttpClient;
use crate::support::{Instance, LIMIT, fixture};
use crate::ways::{Door, Party, WAYS, Way};

const URI: &str = "test://static";

/// The things that one client has at the server: a call that hangs, a question without an answer, and a subscription.
struct Owner {
    party: Party,
    hanging: Value,
    asking: Value,
    question: Value,
    token: Value,
}

impl Owner {
    fn join(instance: &Instance, door: &Door, way: Way) -> Self {
        let mut party = Party::join(instance, door, way, Some("fix"), &json!({"sampling": {}}));
        assert!(party.ask("resources/subscribe", &json!({"uri": URI}))["result"].is_object());
        let token = json!(format!("token of {way:?}"));
        let hang =
            json!({"name": "hang", "arguments": {"label": "owned"}, "_meta": {"progressToken": token}});
        let hanging = party.request("tools/call", &hang);
        let ask = json!({"name": "ask_sampling", "arguments": {"prompt": "owned"}});
        let asking = party.request("tools/call", &ask);
        let question = party.receive();
        assert_eq!(question["method"], "sampling/createMessage", "{question}");
        Owner { party, hanging, asking, question: question["id"].clone(), token }
    }
}

/// Says something about a thing of the owner, and returns the kind of the thing.
fn attempt(other: &mut Party, owner: &Owner, door: &Door, random: &mut Random) -> &'static str {
    // An id that the other client may have learnt or can guess, or a number that the server uses.
    let near = |random: &mut Random, id: &Value| match (random.below(4), id.as_u64()) {
        (0, Some(number)) => json!(number + random.number() % 3),
        (1, Some(number)) => json!(number.to_string()),
        (2, _) => json!(random.below(64)),
        _ => id.clone(),
    };
    let kinds = if owner.party.session().is_some() { 6 } else { 5 };
    match (random.below(kinds), owner.party.session()) {
        (0 | 1, _) => {
            let id = near(random, &owner.hanging);
            other.notify("notifications/cancelled", &json!({"requestId": id, "reason": "not mine"}));
            "cancel"
        }
        (2, _) => {
            let id = near(random, &owner.question);
            let said =
                json!({"role": "assistant", "content": {"type": "text", "text": "forged"}, "model": "m"});
            other.send(&json!({"jsonrpc": "2.0", "id": id, "result": said}));
            "answer"
        }
        (3, _) => {
            let token =
                if random.below(2) == 0 { near(random, &owner.question) } else { owner.token.clone() };
            let params = json!({"progressToken": token, "progress": 1, "message": "forged"});
            other.notify("notifications/progress", &params);
            "progress"
        }
        (4, _) => {
            let answer = other.ask("resources/unsubscribe", &json!({"uri": URI}));
            assert!(answer["result"].is_object(), "{answer}");
            "unsubscribe"
        }
        (_, id) => {
            let id = id.expect("only who has a session loses it");
            session(id, owner, door, random);
            "session"
        }
    }
}

/// Uses the owner's session id, or nearly this id, where it does not belong.
fn session(id: &str, owner: &Owner, door: &Door, random: &mut Random) {
    let mut nearly = id.to_owned();
    let at = random.below(nearly.len());
    nearly.replace_range(at..=at, if nearly.as_bytes()[at] == b'0' { "1" } else { "0" });
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": owner.hanging}});
    let wrong_token = format!("Bearer {:064x}", random.number());
    let (bearer, session, path, expected) = match random.below(4) {
        0 => (&door.bearer, id, "/mcp", 404),
        1 => (&door.bearer, id, "/mcp/other", 404),
        2 => (&door.bearer, &*nearly, "/mcp/fix", 404),
        _ => (&wrong_token, id, "/mcp/fix", 401),
    };
    let client = HttpClient { port: door.port, bearer: bearer.clone(), session: Some(session.to_owned()) };
    for method in ["POST", "DELETE", "GET"] {
        assert_eq!(client.send(method, path, &cancel.to_string()).status, expected, "{method} {path}");
    }
}

#[test]
fn a_client_that_uses_what_belongs_to_another_has_no_effect() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = dir.path().join("ledger");
    let switches = ["--ledger", ledger.to_str().expect("a path")];
    let mut random = Random::new(5);
    let mut attempts: BTreeMap<&str, usize> = BTreeMap::new();
    for way in WAYS {
        // A server for each way: the owner's cancelled call may go on at the last server. As long as it may, a question
        // could come from it, and no question is passed to another client.
        let instance =
            Instance::new(&(fixture("fix", &switches) + "share = \"shared\"\n" + &fixture("other", &[])));
        let door = Door::of(&instance);
        let mut owner = Owner::join(&instance, &door, way);
        for other_way in WAYS {
            let can = json!({"sampling": {}});
            let mut other = Party::join(&instance, &door, other_way, Some("fix"), &can);
            for _ in 0..scaled(112) {
                *attempts.entry(attempt(&mut other, &owner, &door, &mut random)).or_default() += 1;
            }
            // The answer to this call shows that the server has handled everything that the client said before.
            assert_eq!(
                other.call("cancelled", &json!({})),
                "[]",
                "{other_way:?} has cancelled a call of {way:?}"
            );
            assert!(other.aside.is_empty(), "{:?}", other.aside);
            assert_eq!(
                other.call("touch_resource", &json!({"uri": URI})),
                "sent",
                "{way:?} is still subscribed"
            );
            let told = owner.party.receive();
            assert_eq!(told["params"]["uri"], URI, "{way:?}: {told}");
            assert!(other.aside.is_empty(), "who is not subscribed hears nothing: {:?}", other.aside);
        }
        // The question is still open, and the answer of its owner counts.
        let said = json!({"role": "assistant", "content": {"type": "text", "text": "my own"}, "model": "m"});
        owner.party.send(&json!({"jsonrpc": "2.0", "id": owner.question, "result": said}));
        let answer = owner.party.answer(&owner.asking.clone());
        assert!(answer.to_string().contains("my own") && !answer.to_string().contains("forged"), "{answer}");
        // The call is still open too, and only its owner can cancel it.
        owner.party.notify("notifications/cancelled", &json!({"requestId": owner.hanging}));
        let mut cancelled = || owner.party.call("cancelled", &json!({}));
        eventually("the server hears of it", LIMIT, || cancelled().contains("owned"));
        assert_eq!(owner.party.call("reset", &json!({})), "reset");
        assert!(owner.party.aside.is_empty(), "{:?}", owner.party.aside);
    }
    let executed = std::fs::read_to_string(&ledger).expect("a ledger");
    let owned = |tool: &str| executed.lines().filter(|line| line.contains(&format!("\"{tool}\""))).count();
    assert_eq!((owned("hang"), owned("ask_sampling")), (WAYS.len(), WAYS.len()));
    let all: usize = attempts.values().sum();
    eprintln!("{all} attempts to use what belongs to another ({attempts:?}): 0 had an effect");
}
