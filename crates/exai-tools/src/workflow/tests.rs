//! Tests of the tools, as a client and the server see them.

mod catalogue;
mod consensus;
mod definitions;
mod engine;
mod expert;
mod input;
mod notebook;
mod simple;
mod state;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::models::request::{Finish, ModelAnswer, Usage};

/// A tool.
fn tool(name: &str) -> &'static Spec {
    find(name).unwrap_or_else(|| panic!("there is no tool {name}"))
}

/// A JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

/// The arguments of a step with `more`.
fn step_arguments(number: u64, goes_on: bool, more: Value) -> Map<String, Value> {
    let mut arguments = object(json!({
        "step": format!("text of step {number}"),
        "step_number": number,
        "total_steps": 3,
        "next_step_required": goes_on,
        "findings": format!("findings of step {number}"),
    }));
    arguments.extend(object(more));
    arguments
}

fn step(tool: &Spec, number: u64, goes_on: bool, more: Value) -> Step {
    Step::parse(tool, &step_arguments(number, goes_on, more)).unwrap()
}

/// The state after steps with these arguments.
fn state(tool: &Spec, steps: &[Map<String, Value>]) -> State {
    State::fold(tool, steps)
}

fn context() -> CallContext {
    CallContext { continuation_id: Some("thread-1".to_owned()), file_context: None }
}

/// The answer of a step that asks no model.
fn answer(tool: &Spec, state: &State, step: &Step) -> Value {
    match advance(tool, state, step, &context()) {
        Ok(Next::Answer(answer)) => checked(tool, answer),
        other => panic!("no answer: {other:?}"),
    }
}

/// What the expert is asked.
fn expert(tool: &Spec, state: &State, step: &Step) -> ExpertRequest {
    match advance(tool, state, step, &context()) {
        Ok(Next::AskExpert(request)) => request,
        other => panic!("no expert is asked: {other:?}"),
    }
}

fn model_answer(text: &str) -> ModelAnswer {
    ModelAnswer {
        text: text.to_owned(),
        model: "glm-5".to_owned(),
        provider: "glm".to_owned(),
        finish: Finish::Complete,
        usage: Some(Usage { input: 100, output: 20 }),
        elapsed: Duration::from_millis(1500),
    }
}

fn failure() -> ExpertOutcome {
    ExpertOutcome::Failed(ExpertFailure {
        code: "provider_unreachable".to_owned(),
        message: "The provider glm cannot be reached.".to_owned(),
        hint: Some("Run `exai doctor`.".to_owned()),
    })
}

/// The answer itself, if it fits the tool's output schema.
fn checked(tool: &Spec, answer: Value) -> Value {
    let definition = tool_definitions(|spec| spec.name == tool.name).remove(0);
    let schema = Value::Object(definition.output_schema);
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(answer.get(name.as_str().unwrap()).is_some(), "{name} is missing: {answer}");
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let Some(value) = answer.get(name) else { continue };
        let fits = match property["type"].as_str() {
            Some("string") => value.is_string(),
            Some("object") => value.is_object(),
            other => panic!("unexpected type {other:?}"),
        };
        assert!(fits, "{name}: {answer}");
    }
    answer
}
