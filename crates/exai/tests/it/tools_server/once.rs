//! Nothing is paid twice and nothing is lost, whoever asks and whatever dies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use exai_os::process::{self, Kill};
use exai_test::model_endpoint::ModelEndpoint;
use serde_json::{Value, json};

use super::scene::{SAID, answer, call, instance, last_step, reply, step, wait_for};
use crate::support::Instance;

/// Kills a process by force and waits until it is gone.
fn kill(pid: u64) {
    let pid = u32::try_from(pid).expect("a pid");
    let identity = process::identify(pid).expect("the process table").expect("it lives");
    process::kill_verified(&identity, Kill::Force).expect("it can be killed");
    let lives =
        || process::identify(pid).expect("the process table").is_some_and(|now| now.start == identity.start);
    wait_for("the process is gone", || !lives());
}

fn tools_server(instance: &Instance) -> u64 {
    instance.status()["servers"][0]["instances"][0]["pid"].as_u64().expect("a pid")
}

fn continued(arguments: Value, thread: &Value) -> Value {
    let mut arguments = arguments;
    arguments["continuation_id"] = thread.clone();
    arguments
}

#[test]
fn an_investigation_of_three_clients_goes_on_after_daemon_and_tools_server_are_killed() {
    // The first paid answer stops in the middle; whoever asks again gets a whole one.
    let chats = AtomicUsize::new(0);
    let endpoint = ModelEndpoint::start(move |seen| {
        let whole = reply(seen, SAID);
        let is_first = seen.is_chat() && chats.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { whole.hang_after(3) } else { whole }
    });
    let instance = instance(&endpoint, "");
    let mut clients = ["one", "two", "three"].map(|label| {
        let mut client = instance.shim(&["--server", "ai", "--client", label]);
        client.initialize(&json!({}));
        client
    });
    let begun = call(&mut clients[0], "debug", &step(1, "found by one"));
    let thread = &begun["continuation_id"];
    kill(instance.status()["daemon"]["pid"].as_u64().expect("a pid"));
    let second = call(&mut clients[1], "debug", &continued(step(2, "found by two"), thread));
    assert_eq!((&second["continuation_id"], second.get("warnings")), (thread, None), "{second}");
    let last = continued(last_step(3, "found by three"), thread);
    let id = clients[2].request("tools/call", &json!({"name": "debug", "arguments": last}));
    wait_for("the answer begins", || endpoint.chats().iter().any(|chat| chat.first_sent.is_some()));
    kill(tools_server(&instance));
    // The daemon asks again what can do no harm, or the client is told that the outcome is unknown.
    let unheard = clients[2].answer(&id);
    let told = unheard["result"]["structuredContent"]["error"]["code"].as_str();
    assert!(told == Some("interrupted") || unheard["error"]["code"].is_number(), "{unheard}");
    let repeated = call(&mut clients[0], "debug", &last);
    assert_eq!(repeated["error"]["code"], "interrupted", "{repeated}");
    assert_eq!(endpoint.chats().len(), 1, "paid twice without a word");
    let mut paid_again = last.clone();
    paid_again["pay_again"] = true.into();
    let done = call(&mut clients[1], "debug", &paid_again);
    assert_eq!(done["expert_analysis"]["raw_analysis"], SAID, "{done}");
    let asked = endpoint.chats()[1].body.to_string();
    for findings in ["found by one", "found by two", "found by three"] {
        assert!(asked.contains(findings), "{findings} is lost: {asked}");
    }
    // The answer is there for whoever sends the same step, also after the next death.
    kill(tools_server(&instance));
    assert_eq!(call(&mut clients[2], "debug", &last), done);
    assert_eq!(endpoint.chats().len(), 2);
    let threads = instance.json(&["threads", "--json"]);
    assert_eq!(threads["threads"].as_array().map(Vec::len), Some(1), "{threads}");
}

#[test]
fn a_long_call_is_answered_before_the_client_gives_up_and_read_to_its_end_by_another() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, SAID).every(Duration::from_millis(400)));
    let instance = instance(&endpoint, "[ai]\nanswer_within = \"1s\"");
    let mut client = instance.client("ai");
    let running = call(&mut client, "chat", &json!({"prompt": "x"}));
    assert_eq!(running["status"], "running", "{running}");
    assert!(running["partial"].as_str().is_some_and(|partial| SAID.starts_with(partial)), "{running}");
    let rest = |client: &mut crate::support::Client| {
        let mut rest = running.clone();
        for _ in 0..20 {
            if rest["status"] != "running" {
                break;
            }
            rest = call(client, "more", &json!({"reference": running["reference"]}));
        }
        rest
    };
    // A client with other capabilities has a tools server of its own.
    let mut other = instance.shim(&["--server", "ai"]);
    other.initialize(&json!({"roots": {}, "sampling": {}}));
    let of_other = rest(&mut other);
    assert_eq!(of_other["content"], SAID, "{of_other}");
    assert_eq!(rest(&mut client), of_other);
    assert_eq!(call(&mut client, "chat", &json!({"prompt": "x"})), of_other, "the same call again, at once");
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn the_same_step_of_two_clients_at_once_is_paid_once() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, SAID).every(Duration::from_millis(100)));
    let instance = instance(&endpoint, "");
    let mut clients = [instance.client("ai"), instance.client("ai")];
    let begun = call(&mut clients[0], "debug", &step(1, "x"));
    let last = continued(last_step(2, "y"), &begun["continuation_id"]);
    let ids = clients
        .each_mut()
        .map(|client| client.request("tools/call", &json!({"name": "debug", "arguments": last})));
    let [one, two] = &mut clients;
    assert_eq!(answer(one, &ids[0]), answer(two, &ids[1]));
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn the_first_token_is_told_at_once_and_then_how_far_it_is() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, SAID).every(Duration::from_millis(300)));
    let instance = instance(&endpoint, "");
    let mut client = instance.client("ai");
    let call = json!({"name": "chat", "arguments": {"prompt": "x"}, "_meta": {"progressToken": "t"}});
    client.request("tools/call", &call);
    let first = client.receive();
    let heard = std::time::Instant::now();
    assert_eq!(
        (&first["method"], &first["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!("t"))
    );
    let sent = endpoint.chats()[0].first_sent.expect("the first piece was sent");
    eprintln!("the first token was told after {:?}", heard - sent);
    assert!(heard - sent < Duration::from_millis(200), "{:?}", heard - sent);
    let second = client.receive();
    assert!(second["params"]["progress"].as_f64() > first["params"]["progress"].as_f64(), "{first} {second}");
}
