//! A server that works for many clients names the request that its question belongs to, and is told by exai who has sent
//! it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, Instance, fixture, text};
use crate::ways::{Door, Party, WAYS};

/// An instance with one server, which all clients share.
fn shared() -> Instance {
    Instance::new(&(fixture("fix", &[]) + "share = \"shared\"\n"))
}

/// A new directory of the test, as the system writes its path.
fn directory(instance: &Instance, name: &str) -> PathBuf {
    let path = instance.dir().join(name);
    std::fs::create_dir(&path).expect("a directory");
    if cfg!(windows) { path } else { path.canonicalize().expect("a path") }
}

/// A client that has started its shim in this directory.
fn shim_in(directory: &Path, instance: &Instance, args: &[&str]) -> Client {
    let mut command = instance.command(&["shim", "--server", "fix"]);
    command.args(args).current_dir(directory);
    let mut client = Client::start(command);
    client.initialize(&json!({}));
    client
}

/// What the server is told of the client of a call: the answer to the question of the fixture, as text.
fn description(answer: &str) -> Value {
    let mut answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    answer["result"].take()
}

#[test]
fn of_clients_that_are_asked_at_once_through_one_process_each_gets_the_question_of_its_own_call() {
    let instance = shared();
    let door = Door::of(&instance);
    let can = json!({"sampling": {}, "roots": {}});
    // All clients of all transports have a call under way at the same time, under the same ids.
    let mut parties = WAYS
        .into_iter()
        .cycle()
        .take(6)
        .enumerate()
        .map(|(number, way)| {
            let mut party = Party::join(&instance, &door, way, Some("fix"), &can);
            let prompt =
                json!([{"role": "user", "content": {"type": "text", "text": format!("prompt {number}")}}]);
            let sampling =
                json!({"method": "sampling/createMessage", "params": {"messages": prompt, "maxTokens": 9}});
            let calls = [sampling, json!({"method": "roots/list"})].map(|arguments| {
                party.request("tools/call", &json!({"name": "ask_named", "arguments": arguments}))
            });
            (party, calls, Vec::new())
        })
        .collect::<Vec<_>>();
    for (number, (party, [sampling, roots], early)) in parties.iter_mut().enumerate().rev() {
        for _ in 0..2 {
            // The answer to the first call may come before the question of the second one.
            let question = loop {
                let told = party.receive();
                if told["method"].is_string() {
                    break told;
                }
                early.push(told);
            };
            let named = &question["params"]["_meta"]["exai/request"];
            let is_roots = question["method"] == "roots/list";
            assert_eq!(named, if is_roots { &*roots } else { &*sampling }, "{question}");
            assert!(is_roots || question.to_string().contains(&format!("prompt {number}")), "{question}");
            assert_eq!(question["params"]["_meta"]["k"], 1);
            let result =
                json!({"roots": [{"uri": format!("file:///{number}")}], "text": format!("answer {number}")});
            party.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
        }
    }
    for (number, (party, calls, early)) in parties.iter_mut().enumerate() {
        let mut open = calls.to_vec();
        while !open.is_empty() {
            let told = early.pop().unwrap_or_else(|| party.receive());
            assert!(told.to_string().contains(&format!("answer {number}")), "{number} has heard {told}");
            let waited = open.iter().position(|call| *call == told["id"]);
            open.remove(waited.unwrap_or_else(|| panic!("nobody waits for {told}")));
        }
    }
    assert_eq!(instance.status()["servers"][0]["instances"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_question_that_names_another_request_than_one_that_is_waited_for_is_refused() {
    let instance = shared();
    let mut client = instance.client("fix");
    for (method, request) in
        [("roots/list", json!(4711)), ("exai/client", json!("x")), ("other/ask", json!(null))]
    {
        let told = client.call("ask_named", &json!({"method": method, "request": request}));
        assert!(told.contains("-32602") && told.contains("`exai/request` names"), "{told}");
    }
}

#[test]
fn a_server_is_told_in_which_directory_the_client_of_a_call_works() {
    let instance = shared();
    let [one, two, three] = ["one", "two", "three"].map(|name| directory(&instance, name));
    let mut first = shim_in(&one, &instance, &["--client", "cursor"]);
    let mut second = shim_in(&two, &instance, &[]);
    let who = json!({"method": "exai/client"});
    let expected = |label: Option<&str>, directory: &Path| json!({"name": "test", "version": "1", "label": label, "directory": directory, "capabilities": []});
    let busy = [&mut first, &mut second]
        .map(|client| client.request("tools/call", &json!({"name": "hang", "arguments": {}})));
    assert_eq!(description(&first.call("ask_named", &who)), expected(Some("cursor"), &one));
    assert_eq!(description(&second.call("ask_named", &who)), expected(None, &two));
    let output = instance
        .command(&["call", "fix", "ask_named", &who.to_string()])
        .current_dir(&three)
        .output()
        .expect("exai runs");
    let called = description(&text(&output.stdout));
    assert_eq!((&called["name"], &called["directory"]), (&json!("exai"), &json!(three)), "{called}");
    for (client, call) in [&mut first, &mut second].into_iter().zip(busy) {
        client.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}}),
        );
    }
    // The shim tells the next daemon the same.
    instance.ends(0, &["restart"]);
    assert_eq!(description(&first.call("ask_named", &who)), expected(Some("cursor"), &one));
}

#[test]
fn where_a_client_without_a_shim_works_is_not_known() {
    let instance = shared();
    let door = Door::of(&instance);
    for way in &WAYS[1..] {
        let mut party = Party::join(&instance, &door, *way, Some("fix"), &json!({}));
        let told = description(&party.call("ask_named", &json!({"method": "exai/client"})));
        assert_eq!(
            told,
            json!({"name": "p", "version": "1", "label": null, "directory": null, "capabilities": []}),
            "{way:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_is_no_unicode_or_that_the_kernel_does_not_confirm_is_not_told() {
    use std::os::unix::ffi::OsStrExt as _;

    use exai_proto::link::{Hello, Role};

    use crate::hold::Peer;

    let instance = shared();
    instance.ends(0, &["start"]);
    let odd = instance.dir().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    std::fs::create_dir(&odd).expect("a directory");
    let who = json!({"method": "exai/client"});
    assert_eq!(description(&shim_in(&odd, &instance, &[]).call("ask_named", &who))["directory"], Value::Null);
    let honest = exai_client::hello(Role::Shim);
    let here = honest.directory.clone().expect("the tests run in a directory");
    let said = [
        (Some(here.clone()), json!(here)),
        (None, Value::Null),
        (Some("/".to_owned()), Value::Null),
        (Some(format!("{here}/.")), Value::Null),
        (Some(".".to_owned()), Value::Null),
        (Some(format!("/{}", "x".repeat(100_000))), Value::Null),
    ];
    for (directory, expected) in said {
        let mut peer = Peer::introduced(&instance, Hello { directory, ..honest.clone() });
        peer.call("who", "ask_named", &who);
        let answer = peer.answer("who");
        let told = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert_eq!(description(told)["directory"], expected);
    }
}
