//! `tools/call`.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::INVALID_PARAMS;
use crate::misbehave::flood;
use crate::output::VENDOR;
use crate::server::{DEFAULT_LEVEL, LEVELS, Server, exit};
use crate::tool_list;
use crate::wire::quote;

/// Executes one call. `text` is the text from which `params` was read.
pub(crate) fn call(server: &Server, id: &str, text: &str, params: &Value) {
    let tool = params["name"].as_str().unwrap_or_default();
    if let Some(folder) = &server.options.answers {
        let file = Path::new(folder).join(tool);
        return server.output.result(id, &fs::read_to_string(file).expect("the file can be read"));
    }
    // These tools are not listed: only tests call them.
    match tool {
        "raw" => {
            server.record(text);
            return raw(server, id, params["arguments"]["text"].as_str().unwrap_or_default());
        }
        "pings" => {
            // This thread reads no input while it writes these requests.
            for number in 0..params["arguments"]["count"].as_u64().unwrap_or_default() {
                server.output.request(&number.to_string(), "ping", "{}");
            }
            return server.output.result(id, &text_result("asked"));
        }
        "ask_named" => return ask_named(server, id, &params["arguments"]),
        "until" => {
            let string = |name: &str| params["arguments"][name].as_str().unwrap_or_default().to_owned();
            server.begin(id, tool, &string("message"));
            return once_there(server.clone(), id.to_owned(), string("file").into(), string("message"));
        }
        _ => {}
    }
    if !tool_list::exists(server, tool) {
        return server.output.error(id, INVALID_PARAMS, &format!("Unknown tool: {tool}"));
    }
    let count = {
        let mut state = server.state();
        state.calls += 1;
        state.calls
    };
    server.record(text);
    let arguments = &params["arguments"];
    let string = |name: &str| arguments[name].as_str().unwrap_or_default();
    let number = |name: &str| arguments[name].as_u64().unwrap_or_default();
    let answer = |text: &str| server.output.result(id, &text_result(text));
    match tool {
        "delay" | "look" => later(server, id, tool, string("message"), number("ms")),
        "nonce" => later(server, id, tool, string("nonce"), random_below(number("max_delay_ms"), count)),
        "progress" => {
            let token = &params["_meta"]["progressToken"];
            let steps = number("steps");
            server.begin(id, tool, &steps.to_string());
            let token = (!token.is_null()).then(|| token.to_string());
            step(server.clone(), id.to_owned(), token, 1, steps, Duration::from_millis(number("ms")));
        }
        "log" => {
            let level = LEVELS.iter().position(|level| *level == string("level"));
            let wanted = level.is_some_and(|level| level >= server.state().log_level);
            if wanted {
                let (level, text) = (quote(string("level")), quote(string("text")));
                let params = format!(r#"{{"level":{level},"logger":"fixture","data":{text},{VENDOR}}}"#);
                server.output.notify("notifications/message", &params);
            }
            answer(if wanted { "sent" } else { "not wanted" });
        }
        "params" => answer(text),
        "pid" => answer(&std::process::id().to_string()),
        "env" => answer(&environment(string("name"))),
        "cwd" => answer(&std::env::current_dir().unwrap_or_default().to_string_lossy()),
        "ask_sampling" => {
            let prompt = quote(string("prompt"));
            let params = format!(
                r#"{{"messages":[{{"role":"user","content":{{"type":"text","text":{prompt}}}}}],"maxTokens":10,"modelPreferences":{{"costPriority":1.0}},{VENDOR}}}"#
            );
            ask(server, id, tool, "sampling/createMessage", &params);
        }
        "ask_elicitation" => {
            let message = quote(string("message"));
            let params = format!(
                r#"{{"message":{message},"requestedSchema":{{"type":"object","properties":{{"answer":{{"type":"string"}}}}}},{VENDOR}}}"#
            );
            ask(server, id, tool, "elicitation/create", &params);
        }
        "ask_roots" => ask(server, id, tool, "roots/list", "{}"),
        "change_tools" => {
            server.state().extra_tools += 1;
            server.output.notify("notifications/tools/list_changed", "{}");
            answer("changed");
        }
        "change_prompts" => {
            server.output.notify("notifications/prompts/list_changed", "{}");
            answer("changed");
        }
        "change_resources" => {
            server.output.notify("notifications/resources/list_changed", "{}");
            answer("changed");
        }
        "touch_resource" => {
            let subscribed = server.state().subscriptions.contains(string("uri"));
            if subscribed {
                let params = format!(r#"{{"uri":{},{VENDOR}}}"#, quote(string("uri")));
                server.output.notify("notifications/resources/updated", &params);
            }
            answer(if subscribed { "sent" } else { "not subscribed" });
        }
        "big" => answer(&"x".repeat(usize::try_from(number("bytes")).unwrap_or_default())),
        "fail" => {
            let message = quote(string("message"));
            let result = format!(
                r#"{{"content":[{{"type":"text","text":{message},{VENDOR}}}],"isError":true,{VENDOR}}}"#
            );
            server.output.result(id, &result);
        }
        "error" => {
            server.output.error(id, arguments["code"].as_i64().unwrap_or_default(), string("message"));
        }
        "die" => exit(i32::try_from(number("code")).unwrap_or_default()),
        "hang" => server.begin(id, tool, string("label")),
        "flood" => flood(usize::try_from(number("bytes")).unwrap_or_default()),
        "cancelled" => {
            let all = server.state().cancelled.join(",");
            answer(&format!("[{all}]"));
        }
        "calls" => answer(&count.to_string()),
        "reset" => {
            let mut state = server.state();
            (state.extra_tools, state.calls, state.log_level) = (0, 0, DEFAULT_LEVEL);
            state.cancelled.clear();
            drop(state);
            answer("reset");
        }
        "subscriptions" => {
            let all = Vec::from_iter(server.state().subscriptions.clone());
            answer(&Value::from(all).to_string());
        }
        // `echo`, `append` (whose call is already in the ledger), and every tool that was added while the server ran.
        _ => answer(string("message")),
    }
}

/// Answers with `message` once the file exists, unless the call is cancelled before that.
fn once_there(server: Server, id: String, file: PathBuf, message: String) {
    if file.exists() {
        if server.end(&id) {
            server.output.result(&id, &text_result(&message));
        }
    } else if server.is_pending(&id) {
        let timer = server.clone();
        timer.timer.after(Duration::from_millis(10), move || once_there(server, id, file, message));
    }
}

/// Writes a text instead of an answer. `ID` stands for the id of the request, `%XX` for any byte.
fn raw(server: &Server, id: &str, text: &str) {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().replace("ID", id).into_bytes();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("two hex digits"));
        bytes.extend_from_slice(rest.replace("ID", id).as_bytes());
    }
    server.output.raw(id, &bytes);
}

/// A result with one text and with vendor keys at every level.
fn text_result(text: &str) -> String {
    let text = quote(text);
    format!(
        r#"{{"content":[{{"type":"text","text":{text},"_meta":{{"k":1.0}},{VENDOR}}}],"_meta":{{"k":1e2}},{VENDOR}}}"#
    )
}

/// Answers with `message` after `ms` milliseconds, unless the call is cancelled before that.
fn later(server: &Server, id: &str, tool: &str, message: &str, ms: u64) {
    server.begin(id, tool, message);
    let (server, id, message) = (server.clone(), id.to_owned(), message.to_owned());
    let finish = {
        let server = server.clone();
        move || {
            if server.end(&id) {
                server.output.result(&id, &text_result(&message));
            }
        }
    };
    server.timer.after(Duration::from_millis(ms), finish);
}

/// Reports step `number` of `steps` after `pause`, and answers the call after the last step.
fn step(server: Server, id: String, token: Option<String>, number: u64, steps: u64, pause: Duration) {
    let timer = server.clone();
    timer.timer.after(pause, move || {
        if number > steps {
            if server.end(&id) {
                server.output.result(&id, &text_result(&format!("{steps} steps")));
            }
            return;
        }
        if !server.is_pending(&id) {
            return;
        }
        if let Some(token) = &token {
            let params = format!(
                r#"{{"progressToken":{token},"progress":{number}.0,"total":{steps},"message":"step {number}",{VENDOR}}}"#
            );
            server.output.notify("notifications/progress", &params);
        }
        // The answer follows the last report at once, so that a test notices when the two change places.
        let pause = if number == steps { Duration::ZERO } else { pause };
        step(server, id, token, number + 1, steps, pause);
    });
}

/// Asks the client, and answers the call with the client's answer.
fn ask(server: &Server, id: &str, tool: &str, method: &str, params: &str) {
    server.begin(id, tool, method);
    let (of_answer, id) = (server.clone(), id.to_owned());
    server.ask(method, params, move |outcome| {
        if of_answer.end(&id) {
            of_answer.output.result(&id, &text_result(&outcome));
        }
    });
}

/// Asks a question that names a request for exai: this call, or the one in `request`.
fn ask_named(server: &Server, id: &str, arguments: &Value) {
    let mut params = arguments.get("params").cloned().unwrap_or_else(|| json!({}));
    let own = || serde_json::from_str(id).expect("an id is JSON");
    let request = arguments.get("request").cloned().unwrap_or_else(own);
    params["_meta"] = json!({"exai/request": request, "k": 1});
    let method = arguments["method"].as_str().unwrap_or_default();
    ask(server, id, "ask_named", method, &params.to_string());
}

/// A number below `limit`, different for each `seed` and each process.
fn random_below(limit: u64, seed: u64) -> u64 {
    RandomState::new().hash_one(seed).checked_rem(limit).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the tests ask what this process inherited")]
fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| format!("({error})"))
}
