//! What both eras have: lists, and the requests that tools, prompts and resources answer.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::call::{Call, Outcome, Refusal};
use crate::message;
use crate::options::{Era, OnDiscover};
use crate::server::Server;
use crate::{output, prompts, resources, tools};

/// The capabilities of the server in both eras.
pub(crate) fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "completions": {},
        "logging": {},
    })
}

pub(crate) fn server_info() -> Value {
    json!({"name": "suite-server", "version": "1.0.0"})
}

pub(crate) const INSTRUCTIONS: &str = "This server answers what the conformance suite asks.";

/// Answers what is answered at once and alike in both eras; `None` if `method` is nothing of that.
pub(crate) fn list(server: &Server, era: Era, method: &str) -> Option<Value> {
    Some(match method {
        "tools/list" => tools::list(server, era),
        "prompts/list" => prompts::list(server),
        "resources/list" => resources::list(),
        "resources/templates/list" => resources::templates(),
        "completion/complete" => {
            json!({"completion": {"values": ["paris", "park", "party"], "total": 3, "hasMore": false}})
        }
        _ => return None,
    })
}

/// Answers the requests that may take time, on a thread of their own; `None` if `method` is none of them. `finish` makes
/// the era's result of a result.
pub(crate) fn run(
    server: &Arc<Server>,
    (era, id): (Era, &Value),
    method: &str,
    params: &Value,
    finish: fn(&str, Value) -> Value,
) -> Option<()> {
    let run: fn(&Call) -> Outcome = match method {
        "tools/call" => tools::run,
        "prompts/get" => prompts::get,
        "resources/read" => resources::read,
        _ => return None,
    };
    let (server, id, method, params) = (Arc::clone(server), id.clone(), method.to_owned(), params.clone());
    thread::spawn(move || {
        let call = Call::new(Arc::clone(&server), (era, id.clone()), method.clone(), params);
        let outcome = call.and_then(|call| run(&call)).map(|result| finish(&method, result));
        server.answer(&id, &answer(&id, outcome));
    });
    Some(())
}

/// The answer to a request.
pub(crate) fn answer(id: &Value, outcome: Outcome) -> Value {
    match outcome {
        Ok(result) | Err(Refusal::InputRequired(result)) => {
            json!({"jsonrpc": "2.0", "id": id, "result": result})
        }
        Err(Refusal::Error { code, message, data }) => message::error(id, code, &message, data),
        Err(Refusal::Failed(why)) => message::error(id, -32603, &why, None),
    }
}

/// The refusal of a method that the era does not have.
pub(crate) fn unknown(method: &str) -> Refusal {
    Refusal::Error { code: -32601, message: format!("Method not found: {method}"), data: None }
}

/// Answers `server/discover` as `--on-discover` says.
pub(crate) fn discover(server: &Arc<Server>, id: &Value, outcome: Outcome) {
    let answer = answer(id, outcome);
    match server.options.on_discover {
        OnDiscover::Answer => server.answer(id, &answer),
        OnDiscover::Silent => {}
        OnDiscover::Exit => output::exit(4),
        OnDiscover::Garbage => output::write_line("suite-server: what do you mean?"),
        OnDiscover::Late(delay) => {
            let (server, id) = (Arc::clone(server), id.clone());
            thread::spawn(move || {
                thread::sleep(delay);
                server.answer(&id, &answer);
            });
        }
    }
}
