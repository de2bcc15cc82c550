//! Claude Code and Copilot CLI as users have them, with a model that calls tools by a plan: each finds the tools of each
//! server behind exai, has their results, and speaks the era that docs/protocol.md tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use exai_test::agents::{Agent, Entry};
use exai_test::model_endpoint::{Conversation, ModelEndpoint, PlannedCall, Reply};
use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

const SERVERS: [&str; 3] = ["legacy", "modern", "dual"];
const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// How long a whole plan may take.
const PLAY_LIMIT: Duration = Duration::from_mins(1);

/// A tool that the model calls, what its result says, and whether it fails.
struct Called {
    tool: &'static str,
    argument: Option<(&'static str, &'static str)>,
    text: &'static str,
    fails: bool,
}

const CALLED: [Called; 3] = [
    Called {
        tool: "test_simple_text",
        argument: None,
        text: "This is a simple text response for testing.",
        fails: false,
    },
    Called {
        tool: "test_error_handling",
        argument: None,
        text: "This tool intentionally returns an error for testing",
        fails: true,
    },
    // Over HTTP modern clients repeat this argument in a header, in Base64. Without it the call is refused.
    Called {
        tool: "test_header_argument",
        argument: Some(("region", "nördlich der Mauer")),
        text: "nördlich der Mauer",
        fails: false,
    },
];

/// An entry in the configuration of an agent.
struct Configured {
    name: String,
    entry: Entry,
    /// The tools that exai offers there to any client.
    tools: BTreeSet<String>,
    /// What stands before the names of [`CALLED`], once for each server behind the entry.
    prefixes: Vec<String>,
}

/// The revision that the clients of each server speak, by server and transport.
type Eras = BTreeMap<(String, String), BTreeSet<String>>;

/// An instance that hosts the three servers.
fn hosting() -> Instance {
    let configured = |era: &str| {
        let (command, era) = (json!(program("suite-server")), json!(era));
        format!("[servers.{era}]\ncommand = {command}\nargs = [\"--era\", {era}]\n")
    };
    let instance = Instance::new(&SERVERS.map(configured).concat());
    instance.ends(0, &["start"]);
    instance
}

/// The entries for one server, or for all of them together, over both transports.
fn entries(instance: &Instance, server: Option<&str>) -> [Configured; 2] {
    let mut args = vec!["shim"];
    args.extend(server.iter().flat_map(|server| ["--server", *server]));
    let path = server.map_or(String::new(), |server| format!("/{server}"));
    let url = format!("http://127.0.0.1:{}/mcp{path}", instance.port());
    let tools = tools_over(instance.shim(&args[1..]));
    let prefixes = match server {
        Some(_) => vec![String::new()],
        None => SERVERS.map(|server| format!("{server}__")).to_vec(),
    };
    let configured = |way: &str, entry| Configured {
        name: format!("{way}-{}", server.unwrap_or("all")),
        entry,
        tools: tools.clone(),
        prefixes: prefixes.clone(),
    };
    [
        configured("shim", Entry::Stdio(instance.command(&args))),
        configured("http", Entry::Http { url, token: instance.token() }),
    ]
}

/// The tools that any client is offered. The servers run after that: agents do not wait for tools that come late.
fn tools_over(mut client: Client) -> BTreeSet<String> {
    client.initialize(&json!({}));
    let listed = client.ask("tools/list", &json!({}));
    client.finish();
    let tools = listed["result"]["tools"].as_array().expect("tools");
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(ToOwned::to_owned).collect()
}

/// The calls of all tools of [`CALLED`] at all servers of the entries.
fn plan_calls(agent: Agent, entries: &[Configured]) -> Vec<PlannedCall> {
    let prefixes = entries.iter().flat_map(|one| one.prefixes.iter().map(|prefix| (&one.name, prefix)));
    let calls = prefixes.flat_map(|(entry, prefix)| {
        CALLED.map(|called| {
            let name = agent.tool_name(entry, &format!("{prefix}{}", called.tool));
            (name, called.argument.into_iter().map(|(key, value)| (key, json!(value))).collect())
        })
    });
    calls.collect()
}

/// A model that plays a plan. It gives its last answer when the returned sender is dropped, and says before that in the
/// returned receiver that nothing else is left.
fn hold_the_end(plan: Vec<PlannedCall>) -> (ModelEndpoint, Sender<()>, Receiver<()>) {
    let (release, held) = channel::<()>();
    let (tell, told) = channel();
    let ends = Mutex::new((held, tell));
    let model = ModelEndpoint::start(move |seen| {
        let Some(conversation) = Conversation::read(seen) else { return Reply::json(404, "{}") };
        if conversation.is_over(&plan) {
            let (held, tell) = &*ends.lock().expect("no panic");
            // The test may be over by now.
            let _ = tell.send(());
            let _ = held.recv_timeout(LIMIT);
        }
        conversation.reply(&plan)
    });
    (model, release, told)
}

/// Has the agent call tools over these entries, and looks at the names that it knows, at the results that its model gets,
/// and at the revisions in which it speaks to exai.
fn serves(agent: Agent, instance: &Instance, entries: Vec<Configured>, eras: Eras) {
    let plan = plan_calls(agent, &entries);
    let (model, release, told) = hold_the_end(plan.clone());
    let home = instance.dir().join(agent.client_name());
    std::fs::create_dir(&home).expect("a directory");
    let configured: Vec<(&str, &Entry)> = entries.iter().map(|one| (&*one.name, &one.entry)).collect();
    let mut running = agent.start(&home, &configured, &model);
    eventually("the plan is played", PLAY_LIMIT, || told.try_recv().is_ok() || running.ended().is_some());
    assert!(running.ended().is_none(), "{agent:?} has ended before");
    has_eras(instance, agent, eras);
    drop(release);
    eventually("the agent ends", LIMIT, || running.ended().is_some());
    assert!(running.ended().is_some_and(|status| status.success()));

    let chats = model.chats();
    let mut conversations = chats.iter().rev().filter_map(Conversation::read);
    let last = conversations.find(|one| one.is_over(&plan)).expect("the plan was played");
    for one in &entries {
        let start = agent.tool_name(&one.name, "");
        let known = last.offered.iter().filter_map(|name| name.strip_prefix(&start)).map(ToOwned::to_owned);
        assert_eq!(known.collect::<BTreeSet<_>>(), one.tools, "{agent:?}: the tools of {}", one.name);
    }
    for ((name, _), called) in plan.iter().zip(CALLED.iter().cycle()) {
        let result = last.results.iter().find(|result| result.tool == *name);
        let result = result.unwrap_or_else(|| panic!("{agent:?} was not asked to call {name}"));
        assert!(result.text.contains(called.text), "{agent:?}: {result:?}");
        // Only Claude Code tells its model.
        assert_eq!(result.is_error, called.fails && agent == Agent::ClaudeCode, "{result:?}");
    }
}

/// Waits until the agent's connections speak these revisions, and no others.
fn has_eras(instance: &Instance, agent: Agent, expected: Eras) {
    let (end, mut seen) = (Instant::now() + LIMIT, Eras::new());
    while seen != expected && Instant::now() < end {
        seen = eras(&instance.status(), agent);
    }
    assert_eq!(seen, expected, "the eras of {agent:?}");
}

fn eras(status: &Value, agent: Agent) -> Eras {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let mut eras = Eras::new();
    for server in list(&status["servers"]) {
        let used_by: Vec<Value> =
            list(&server["instances"]).iter().flat_map(|instance| list(&instance["clients"])).collect();
        for client in list(&status["clients"]) {
            if client["name"] == agent.client_name() && used_by.contains(&client["id"]) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let key = (text(&server["name"]), text(&client["transport"]));
                eras.entry(key).or_default().insert(text(&client["era"]));
            }
        }
    }
    eras
}

/// What [`eras`] has where the clients of each of these servers speak one revision over both transports.
fn expect_eras(of: &[(&str, &str)]) -> Eras {
    let both = of.iter().flat_map(|(server, era)| ["shim", "http"].map(|way| (server, way, era)));
    let text = |text: &str| text.to_owned();
    both.map(|(server, way, era)| ((text(server), text(way)), BTreeSet::from([text(era)]))).collect()
}

/// Each server by itself, under its own names.
fn each_server_in_its_era(agent: Agent) {
    let instance = hosting();
    let entries = SERVERS.iter().flat_map(|&server| entries(&instance, Some(server))).collect();
    let eras = expect_eras(&[("legacy", LEGACY), ("modern", MODERN), ("dual", MODERN)]);
    serves(agent, &instance, entries, eras);
}

#[test]
fn claude_code_calls_tools_of_each_server_in_its_era() {
    each_server_in_its_era(Agent::ClaudeCode);
}

#[test]
fn copilot_calls_tools_of_each_server_in_its_era() {
    each_server_in_its_era(Agent::Copilot);
}

#[test]
fn both_call_tools_of_all_servers_at_once() {
    let instance = hosting();
    for agent in [Agent::ClaudeCode, Agent::Copilot] {
        let entries = entries(&instance, None).into();
        // With a legacy server among them exai sends a client to its legacy era.
        let eras = expect_eras(&SERVERS.map(|server| (server, LEGACY)));
        serves(agent, &instance, entries, eras);
    }
}
