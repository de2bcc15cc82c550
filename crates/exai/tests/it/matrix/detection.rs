//! Which era a server speaks is found out by real processes, whatever they do when they are asked.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use exai_test::{eventually, program};
use serde_json::{Value, json};

use super::received::Received;
use crate::support::{Instance, LIMIT};
use crate::ways::{Door, Party, Way};

/// How long it may take at most until a client is served by a server that has never been started.
const FIRST: Duration = Duration::from_secs(if cfg!(windows) { 60 } else { 10 });

/// A server, and what becomes of `server/discover` there.
struct Shy {
    name: &'static str,
    era: &'static str,
    on_discover: &'static str,
    /// The era in which a client that asks first is served: the first client, and any later one.
    serves: [&'static str; 2],
}

const fn shy(
    name: &'static str,
    era: &'static str,
    on_discover: &'static str,
    serves: [&'static str; 2],
) -> Shy {
    Shy { name, era, on_discover, serves }
}

/// What answers late comes after exai has sent `initialize` as well, and after clients have been told to do without the
/// modern era. Who speaks that era alone and does not answer the question can be used by nobody.
const SHY: [Shy; 12] = [
    shy("legacy-silent", "legacy", "silent", ["legacy", "legacy"]),
    shy("legacy-exit", "legacy", "exit", ["legacy", "legacy"]),
    shy("legacy-garbage", "legacy", "garbage", ["legacy", "legacy"]),
    shy("legacy-soon", "legacy", "late:300", ["legacy", "legacy"]),
    shy("legacy-late", "legacy", "late:4000", ["legacy", "legacy"]),
    shy("dual-silent", "dual", "silent", ["legacy", "legacy"]),
    shy("dual-exit", "dual", "exit", ["legacy", "legacy"]),
    shy("dual-garbage", "dual", "garbage", ["legacy", "legacy"]),
    shy("dual-soon", "dual", "late:300", ["modern", "modern"]),
    shy("dual-late", "dual", "late:4000", ["legacy", "modern"]),
    shy("modern-soon", "modern", "late:300", ["modern", "modern"]),
    shy("modern-late", "modern", "late:4000", ["legacy", "modern"]),
];

fn server(name: &str, dir: &Path, switches: &[&str]) -> String {
    let file = received(dir, name).path().display().to_string();
    let (command, switches) = (json!(program("suite-server")), [switches, &["--received", &file]].concat());
    format!("[servers.{name}]\ncommand = {command}\nargs = {}\n", json!(switches))
}

fn received(dir: &Path, name: &str) -> Received {
    Received::new(dir.join(format!("{name}.received")))
}

/// The `_meta` of a modern request.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// Does what a client does that knows nothing of the server, and returns the era in which it is served.
fn be_served(party: &mut Party, asks_first: bool) -> &'static str {
    let mut params = json!({"name": "test_simple_text", "arguments": {}});
    let mut era = "legacy";
    if asks_first && party.ask("server/discover", &json!({"_meta": meta()})).get("result").is_some() {
        era = "modern";
        params["_meta"] = meta();
    } else {
        party.introduce(&json!({}));
    }
    let answer = party.ask("tools/call", &params);
    assert!(answer["result"]["content"][0]["text"].is_string(), "{answer}");
    era
}

/// Has a client of each server be served, and returns for each server in which era, and how long that took.
fn serve_all(instance: &Instance, door: &Door, asks_first: bool) -> Vec<(&'static str, Duration)> {
    let one = |server: &Shy| {
        let start = Instant::now();
        let mut party = Party::connect(instance, door, Way::Socket, Some(server.name));
        (be_served(&mut party, asks_first), start.elapsed())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = SHY.iter().map(|server| scope.spawn(move || one(server))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it is served")).collect()
    })
}

/// Whether the next daemon will know of each server whether it speaks the modern era.
fn is_all_known(instance: &Instance) -> bool {
    let text = std::fs::read_to_string(instance.home().join("verdicts.json")).unwrap_or_default();
    let verdicts: Value = serde_json::from_str(&text).unwrap_or_default();
    SHY.iter().all(|server| {
        let speaks = &verdicts["servers"][server.name]["eras"]["modern"]["speaks"];
        *speaks == (server.serves[1] == "modern")
    })
}

fn served_whatever_the_server_does(asks_first: bool) {
    let instance = Instance::new("");
    let one =
        |shy: &Shy| server(shy.name, instance.dir(), &["--era", shy.era, "--on-discover", shy.on_discover]);
    instance.configure(&SHY.iter().map(one).collect::<String>());
    let first = serve_all(&instance, &Door::of(&instance), asks_first);
    let mut in_time = 0;
    for (server, (era, took)) in SHY.iter().zip(first) {
        eprintln!("{}: served in the {era} era after {took:?}", server.name);
        let wanted = if asks_first { server.serves[0] } else { "legacy" };
        // exai waits 2.5 s for the answer, which includes the start of the process.
        let came_late = era == "legacy" && took >= Duration::from_millis(2500);
        assert!(era == wanted || came_late, "{}: {era} after {took:?}", server.name);
        in_time += usize::from(wanted == "modern" && era == wanted);
        assert!(took < FIRST, "{}", server.name);
    }
    assert!(!asks_first || in_time > 0, "no answer was in time");
    eventually("all is known", LIMIT, || is_all_known(&instance));
    instance.ends(0, &["stop"]);
    // The next daemon asks nobody, and starts nobody twice.
    let heard = |server: &Shy| received(instance.dir(), server.name).methods();
    let before: Vec<usize> = SHY.iter().map(|server| heard(server).len()).collect();
    let again = serve_all(&instance, &Door::of(&instance), asks_first);
    for ((server, (era, _)), before) in SHY.iter().zip(again).zip(before) {
        assert_eq!(era, if asks_first { server.serves[1] } else { "legacy" }, "{}", server.name);
        let heard = heard(server).split_off(before);
        let is_modern = era == "modern" || server.era == "modern";
        let (opening, other) =
            if is_modern { ("server/discover", "initialize") } else { ("initialize", "server/discover") };
        assert_eq!(heard[0].1, opening, "{}", server.name);
        assert!(heard.iter().all(|(_, method)| method != other), "{}: {heard:?}", server.name);
        assert!(heard.iter().all(|(process, _)| *process == heard[0].0), "{}: {heard:?}", server.name);
    }
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn a_legacy_client_is_served_whatever_a_server_does_when_it_is_asked_for_its_era() {
    served_whatever_the_server_does(false);
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn a_modern_client_is_served_whatever_a_server_does_when_it_is_asked_for_its_era() {
    served_whatever_the_server_does(true);
}

/// The names of the tools that a client sees.
fn tools(party: &mut Party, params: &Value) -> Vec<String> {
    let answer = party.ask("tools/list", params);
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(ToOwned::to_owned).collect()
}

#[test]
fn no_client_loses_a_tool_of_a_server_that_has_others_in_each_era() {
    let instance = Instance::new("");
    instance.configure(&server("differs", instance.dir(), &["--differ", "--pin"]));
    let door = Door::of(&instance);
    instance.know(&["differs"]);
    for (endpoint, prefix) in [(Some("differs"), ""), (None, "differs__")] {
        let mut legacy = Party::join(&instance, &door, Way::Shim, endpoint, &json!({}));
        let mut modern = Party::connect(&instance, &door, Way::Shim, endpoint);
        let own = |era: &str| format!("{prefix}test_{era}_only");
        let (legacy_tools, modern_tools) =
            (tools(&mut legacy, &json!({})), tools(&mut modern, &json!({"_meta": meta()})));
        assert!(legacy_tools.contains(&own("legacy")) && !legacy_tools.contains(&own("modern")));
        assert!(modern_tools.contains(&own("modern")) && !modern_tools.contains(&own("legacy")));
        assert_eq!(legacy.call(&own("legacy"), &json!({})), "legacy only");
        let params = json!({"name": own("modern"), "arguments": {}, "_meta": meta()});
        let answer = modern.ask("tools/call", &params);
        assert_eq!(answer["result"]["content"][0]["text"], "modern only", "{answer}");
    }
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers");
    let differs = servers.iter().find(|server| server["name"] == "differs").expect("it is there");
    assert_eq!(differs["instances"].as_array().map(Vec::len), Some(2), "{differs}");
}

/// The command stays the same, and another program is behind it.
#[cfg(unix)]
#[test]
fn clients_are_served_by_a_server_that_has_changed_its_era() {
    let instance = Instance::new("");
    let file = instance.dir().join("era");
    let script = format!("exec '{}' --era $(cat '{}')", program("suite-server").display(), file.display());
    let args = json!(["-c", script]);
    instance.configure(&format!("[servers.changes]\ncommand = \"sh\"\nargs = {args}\n"));
    std::fs::write(&file, "legacy").expect("it is written");
    let door = Door::of(&instance);
    let enter = || Party::connect(&instance, &door, Way::Shim, Some("changes"));
    let mut old = enter();
    assert_eq!(be_served(&mut old, false), "legacy");
    for era in ["modern", "legacy", "dual", "modern", "dual", "legacy"] {
        std::fs::write(&file, era).expect("it is written");
        instance.ends(0, &["restart", "changes"]);
        // The session goes on, in whichever era the server speaks now.
        assert_eq!(old.call("test_simple_text", &json!({})), "This is a simple text response for testing.");
        assert_eq!(be_served(&mut enter(), false), "legacy", "now {era}");
        // Who asks first is served in the modern era where the server is known to speak it, and in its own legacy era
        // otherwise: a server that speaks both now is not asked whether it does.
        let served = be_served(&mut enter(), true);
        if era != "dual" {
            assert_eq!(served, era);
        }
    }
}
