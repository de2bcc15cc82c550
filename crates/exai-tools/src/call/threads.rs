//! The thread that a call continues; and `threads`, which lists them.

use serde_json::{Value, json};

use super::context::{Call, CallError};
use crate::outcome::Outcome;
use crate::threads::{Thread, ThreadFacts, ThreadStore};
use crate::workflow::Arguments;

/// How many threads one answer lists if it does not say `limit`: the newest.
const USUALLY_LISTED: usize = 50;

/// The thread that a call continues; `None` if it begins one.
pub(super) async fn continued(call: &Call, id: Option<&str>) -> Result<Option<Thread>, CallError> {
    let Some(id) = id.map(str::to_owned) else { return Ok(None) };
    let keep = call.config.ai.keep_threads;
    Ok(Some(call.shared.with_threads(move |threads| threads.continue_thread(&id, keep)).await?))
}

/// The tool `threads`: all of them, or one with its turns.
pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let arguments = Arguments::parse(call.spec, &call.given)?;
    let Some(id) = arguments.text("continuation_id").map(str::to_owned) else {
        let listed = call.shared.with_threads(ThreadStore::list_threads).await?;
        let limit = arguments.integer("limit").map_or(USUALLY_LISTED, |limit| limit as usize);
        let shown: Vec<Value> = listed.iter().take(limit).map(describe).collect();
        return Ok(Outcome::success(json!({"status": "success", "count": listed.len(), "threads": shown})));
    };
    let thread = call.shared.with_threads(move |threads| threads.find_thread(&id)).await?;
    let turns = thread.turns.iter().map(|turn| {
        json!({
            "number": turn.number,
            "role": match turn.role {
                crate::models::request::Role::User => "user",
                crate::models::request::Role::Assistant => "assistant",
            },
            "tool": turn.tool,
            "model": turn.model,
            "text": turn.text,
            "files": turn.files,
        })
    });
    let turns: Vec<Value> = turns.collect();
    Ok(Outcome::success(json!({"status": "success", "thread": describe(&thread.facts), "turns": turns})))
}

fn describe(facts: &ThreadFacts) -> Value {
    json!({
        "continuation_id": facts.id,
        "tool": facts.tool,
        "title": facts.title,
        "client": facts.client,
        "used_at": facts.used_at.to_string(),
        "turns": facts.turn_count,
        "paid_calls": facts.paid_calls,
    })
}
