//! Asking a model: providers, threads, the client's own model, errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use exai_test::model_endpoint::{End, ModelEndpoint, Reply};
use serde_json::{Value, json};

use super::scene::{SAID, answer, call, config, endpoint, instance, last_step, reply, step, tools, wait_for};
use crate::origin_wire::Origin;
use crate::support::{Client, Instance};

#[test]
fn ten_tools_cost_twelve_kilobytes_and_the_others_are_off() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let mut client = instance.client("ai");
    let listed = client.ask("tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "chat",
            "thinkdeep",
            "debug",
            "codereview",
            "analyze",
            "planner",
            "consensus",
            "precommit",
            "listmodels",
            "status",
            "more"
        ]
    );
    let bytes = serde_json::to_string(tools).expect("JSON").len();
    assert!(bytes <= 12_000, "{bytes}");
    for tool in tools {
        assert!(tool["outputSchema"].is_object() && tool["annotations"]["readOnlyHint"] == true, "{tool}");
    }
    assert_eq!(endpoint.requests().len(), 0, "nobody has asked for anything");
}

#[test]
fn a_chat_is_answered_and_goes_on_by_its_thread_in_another_client() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let mut client = instance.client("ai");
    let first = call(&mut client, "chat", &json!({"prompt": "Why does it hang?"}));
    assert_eq!(first["content"], SAID);
    assert_eq!(first["metadata"]["usage"], json!({"input_tokens": 11, "output_tokens": 7}));
    let thread = &first["continuation_id"];
    let mut other = instance.client("ai");
    let second = call(
        &mut other,
        "chat_EXAI-WS",
        &json!({"prompt": "And how is it mended?", "continuation_id": thread}),
    );
    assert_eq!(second["continuation_id"], *thread);
    let chats = endpoint.chats();
    let said: Vec<&str> = chats[1].body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|message| message["content"].as_str())
        .skip(1)
        .collect();
    assert_eq!(said, ["Why does it hang?", SAID, "And how is it mended?"]);
    let listed = instance.json(&["threads", "--json"]);
    assert_eq!(listed["threads"][0]["id"], *thread, "{listed}");
}

#[test]
fn an_old_shim_and_a_modern_client_share_a_thread() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    let mut modern = instance.client("ai");
    let begun = call(&mut modern, "debug", &step(1, "found by the modern one"));
    let mut old = Origin::join(&instance);
    let mut last = last_step(2, "found by the old one");
    last["continuation_id"] = begun["continuation_id"].clone();
    let answered = old.call("debug_EXAI-WS", &last);
    assert_eq!(answered.get("error"), None, "{answered}");
    let told: Value = serde_json::from_str(answered["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(told["expert_analysis"]["raw_analysis"], SAID, "{told}");
    let asked = endpoint.chats()[0].body.to_string();
    assert!(asked.contains("found by the modern one") && asked.contains("found by the old one"), "{asked}");
    assert_eq!(call(&mut modern, "debug", &last), told);
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn without_a_provider_a_sentence_says_how_to_add_one_and_what_needs_none_works() {
    let instance = Instance::new("");
    instance.configure(&tools(&instance.home()));
    let mut client = instance.client("ai");
    let refused = call(&mut client, "chat", &json!({"prompt": "x"}));
    assert_eq!(refused["error"]["code"], "no_provider");
    assert!(
        refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("exai add --tools")),
        "{refused}"
    );
    assert_eq!(instance.json(&["threads", "--json"])["threads"], json!([]), "nothing was said");
    let planned = call(
        &mut client,
        "planner",
        &json!({"step": "plan", "step_number": 1, "total_steps": 2, "next_step_required": true}),
    );
    assert_eq!(planned["status"], "pause_for_planner");
    for tool in ["status", "listmodels"] {
        assert_eq!(call(&mut client, tool, &json!({}))["status"], "success", "{tool}");
    }
    // What is added now counts from the next call on.
    let endpoint = endpoint();
    instance.configure(&config(&instance.home(), &endpoint, ""));
    assert_eq!(call(&mut client, "chat", &json!({"prompt": "x"}))["content"], SAID);
}

#[test]
fn each_of_two_clients_at_once_is_asked_for_its_own_model() {
    let instance = Instance::new("");
    instance.configure(&tools(&instance.home()));
    let mut clients = [instance.shim(&["--server", "ai"]), instance.shim(&["--server", "ai"])];
    for client in &mut clients {
        client.initialize(&json!({"sampling": {}}));
    }
    let ids: Vec<Value> = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| {
            client.request(
                "tools/call",
                &json!({"name": "chat", "arguments": {"prompt": format!("I am {number}")}}),
            )
        })
        .collect();
    let question = |client: &mut Client| loop {
        let message = client.receive();
        if message["method"] == "sampling/createMessage" {
            return message;
        }
    };
    // Both questions are open before one is answered, and the second is answered first.
    let questions: Vec<Value> = clients.iter_mut().map(question).collect();
    for number in [1, 0] {
        let asked = &questions[number];
        assert_eq!(asked["params"]["messages"][0]["content"]["text"], format!("I am {number}"));
        let said = json!({"role": "assistant", "content": {"type": "text", "text": format!("You are {number}")},
            "model": "mine", "stopReason": "endTurn"});
        clients[number].send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": said}));
        let answered = answer(&mut clients[number], &ids[number]);
        assert_eq!(answered["content"], format!("You are {number}"));
        assert_eq!(answered["metadata"]["provider_used"], "client");
    }
}

#[test]
fn a_cancelled_call_stops_the_paid_stream() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, SAID).hang_after(2));
    let instance = instance(&endpoint, "");
    let mut client = instance.client("ai");
    let id = client.request("tools/call", &json!({"name": "chat", "arguments": {"prompt": "x"}}));
    wait_for("the model begins", || endpoint.chats().iter().any(|chat| chat.first_sent.is_some()));
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    wait_for("the stream is cut", || endpoint.chats()[0].end == End::CutByClient);
    wait_for("nothing runs", || call(&mut client, "status", &json!({}))["running_calls"] == 0);
    // An answer would count as heard by now; a cancelled call does not, and is not paid again without a word.
    std::thread::sleep(Duration::from_secs(4));
    let again = call(&mut client, "chat", &json!({"prompt": "x"}));
    assert_eq!(again["error"]["code"], "interrupted", "{again}");
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn fifty_calls_at_once_keep_to_the_limit_and_hold_up_nobody() {
    let may_end = Arc::new(AtomicBool::new(false));
    let is_held = Arc::clone(&may_end);
    // No call is over before the other client was served.
    let endpoint = ModelEndpoint::start(move |seen| {
        if seen.is_chat() {
            wait_for("the other client is served", || is_held.load(Ordering::Relaxed));
        }
        reply(seen, SAID).every(Duration::from_millis(20))
    });
    let instance = instance(&endpoint, "max_concurrency = 4");
    let mut client = instance.client("ai");
    let ids: Vec<Value> = (0..50)
        .map(|number| {
            client.request(
                "tools/call",
                &json!({"name": "chat", "arguments": {"prompt": format!("question {number}")}}),
            )
        })
        .collect();
    wait_for("the model begins", || !endpoint.chats().is_empty());
    let mut other = instance.client("ai");
    let start = Instant::now();
    assert_eq!(call(&mut other, "status", &json!({}))["status"], "success");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    may_end.store(true, Ordering::Relaxed);
    let mut answers = 0;
    while answers < ids.len() {
        let message = client.receive();
        if message.get("method").is_none() {
            assert_eq!(message["result"]["structuredContent"]["content"], SAID, "{message}");
            answers += 1;
        }
    }
    assert!(endpoint.most_at_once() <= 4, "{}", endpoint.most_at_once());
    assert_eq!(endpoint.chats().len(), 50);
}

#[test]
fn a_consensus_asks_its_models_side_by_side() {
    let asked_so_far = AtomicUsize::new(0);
    let endpoint = ModelEndpoint::start(move |seen| match seen.body["model"].as_str() {
        Some("broken") => Reply::json(404, r#"{"error":{"message":"no such model"}}"#),
        Some(model) => {
            asked_so_far.fetch_add(1, Ordering::Relaxed);
            // Neither answers before both are asked.
            wait_for("the other model is asked", || asked_so_far.load(Ordering::Relaxed) >= 2);
            reply(seen, &format!("I am {model}"))
        }
        None => reply(seen, ""),
    });
    let instance = Instance::new("");
    let home = instance.home();
    let row = config(&home, &endpoint, "").replace("[\"m\"]", "[\"one\", \"two\", \"broken\"]");
    instance.configure(&row);
    let mut client = instance.client("ai");
    let asked = json!({"step": "Tabs or spaces?", "step_number": 1, "total_steps": 1, "next_step_required": false,
        "findings": "tabs", "models": [{"model": "one", "stance": "for"}, {"model": "two", "stance": "against"},
            {"model": "broken", "stance": "neutral"}]});
    let combined = call(&mut client, "consensus", &asked);
    let views = combined["accumulated_responses"].as_array().expect("views");
    let verdicts: Vec<&str> = views.iter().filter_map(|view| view["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["I am one", "I am two"], "{combined}");
    assert_eq!(views[2]["error"]["code"], "model_gone", "{combined}");
    let again =
        call(&mut client, "consensus", &with(&asked, "continuation_id", &combined["continuation_id"]));
    assert_eq!(again, combined);
    assert_eq!(endpoint.chats().len(), 3, "the same step was paid twice");
}

#[test]
fn a_thread_pays_for_no_more_calls_than_it_may() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "[ai]\nmax_paid_calls = 1");
    let mut client = instance.client("ai");
    let first = call(&mut client, "chat", &json!({"prompt": "one"}));
    let second =
        call(&mut client, "chat", &json!({"prompt": "two", "continuation_id": first["continuation_id"]}));
    assert_eq!(second["error"]["code"], "too_many_calls", "{second}");
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn what_goes_wrong_at_the_endpoint_is_an_error_with_its_own_code_and_nothing_is_kept() {
    let endpoint = ModelEndpoint::start(|seen| {
        let prompt = seen.body["messages"][1]["content"].as_str().unwrap_or_default();
        match prompt {
            "cut" => reply(seen, SAID).cut_after(2),
            "page" => Reply::page(200, "<html>Sign in</html>"),
            "key" => Reply::json(401, r#"{"error":{"message":"bad key sk-very-secret"}}"#),
            "long" => {
                Reply::json(400, r#"{"error":{"code":"context_length_exceeded","message":"too long"}}"#)
            }
            "silent" => Reply::hang(),
            _ => reply(seen, SAID),
        }
    });
    let instance = instance(&endpoint, "idle_timeout = \"1s\"\nkey = \"sk-very-secret\"");
    let mut client = instance.client("ai");
    for (prompt, code) in [
        ("cut", "stream_cut"),
        ("page", "nonsense"),
        ("key", "unauthorised"),
        ("long", "context_overflow"),
        ("silent", "idle_timed_out"),
    ] {
        let failed = call(&mut client, "chat", &json!({"prompt": prompt}));
        assert_eq!(failed["error"]["code"], code, "{failed}");
        assert!(failed["error"]["hint"].is_string(), "{failed}");
        assert!(!failed.to_string().contains("sk-very-secret"), "{failed}");
    }
    assert_eq!(call(&mut client, "chat", &json!({"prompt": "fine"}))["content"], SAID);
}

#[test]
fn an_expert_that_fails_costs_the_agent_none_of_its_own_work() {
    let endpoint = ModelEndpoint::start(|_| Reply::json(500, "{}"));
    let instance = instance(&endpoint, "");
    let mut client = instance.client("ai");
    let failed = call(&mut client, "debug", &last_step(1, "the lock is taken twice"));
    assert_eq!(failed["status"], "error", "{failed}");
    assert!(failed["complete_debug"].to_string().contains("the lock is taken twice"), "{failed}");
}

/// The arguments with one more.
fn with(arguments: &Value, key: &str, value: &Value) -> Value {
    let mut arguments = arguments.clone();
    arguments[key] = value.clone();
    arguments
}
