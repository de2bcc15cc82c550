//! What all answers of tools with steps have.

use serde_json::{Map, Value, json};

use super::order;
use super::spec::Spec;
use super::state::State;
use super::step::Step;

/// What the caller knows of a call, beside its arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallContext {
    /// The thread in which the call is kept.
    pub continuation_id: Option<String>,
    /// Which files were put before a model, and which were left out, for `file_context`. Without it the answer says that
    /// files were only named.
    pub file_context: Option<Value>,
}

/// The common part of an answer. `before` is the state before the step, `state` the one after it.
pub(super) fn base(
    spec: &Spec,
    before: &State,
    state: &State,
    step: &Step,
    context: &CallContext,
) -> Map<String, Value> {
    let name = &spec.name;
    let mut answer = Map::new();
    let mut put = |key: &str, value: Value| answer.insert(key.to_owned(), value);
    put("step_number", step.number.into());
    put("total_steps", step.total.into());
    put("next_step_required", step.goes_on.into());
    put(
        &format!("{name}_status"),
        json!({
            "files_checked": state.all("files_checked").len(),
            "relevant_files": state.all("relevant_files").len(),
            "relevant_context": state.all("relevant_context").len(),
            "issues_found": state.issues().len(),
            "images_collected": state.all("images").len(),
            "current_confidence": state.confidence().name(),
        }),
    );
    put("metadata", json!({ "tool_name": name }));
    put("file_context", file_context(state, context));
    if let Some(id) = &context.continuation_id {
        put("continuation_id", id.as_str().into());
    }
    warn(&mut answer, order::warnings(before, step));
    answer
}

/// Adds to `warnings`: sentences about what is odd, though the call was carried out.
pub(super) fn warn(answer: &mut Map<String, Value>, sentences: impl IntoIterator<Item = String>) {
    let mut warnings = answer.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    warnings.extend(sentences.into_iter().map(Value::from));
    if !warnings.is_empty() {
        answer.insert("warnings".to_owned(), warnings.into());
    }
}

/// Turns `answer` into a pause: the agent has to work before it calls again. `work` says with what.
pub(super) fn pause(
    answer: &mut Map<String, Value>,
    spec: &Spec,
    step: &Step,
    actions: &[String],
    work: &str,
) {
    let name = &spec.name;
    answer.insert("status".to_owned(), format!("pause_for_{name}").into());
    answer.insert(format!("{name}_required"), true.into());
    answer.insert("required_actions".to_owned(), actions.into());
    let thread = if answer.contains_key("continuation_id") { ", and with this continuation_id" } else { "" };
    let next = step.number + 1;
    answer.insert(
        "next_steps".to_owned(),
        format!(
            "MANDATORY: DO NOT call {name} again immediately. {work} Then call {name} with step_number {next} and what \
             is new since this step{thread}."
        )
        .into(),
    );
}

fn file_context(state: &State, context: &CallContext) -> Value {
    context.file_context.clone().unwrap_or_else(|| {
        json!({
            "type": "reference_only",
            "note": "Files are only named so far. They are read when a model is asked.",
            "files": state.all("relevant_files").len(),
        })
    })
}
