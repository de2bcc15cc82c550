//! The planner: a notebook of steps, revisions and branches.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::answer::{pause, warn};
use super::bad_input::BadInput;
use super::spec::Spec;
use super::state::State;
use super::step::Step;
use super::summary::complete;

/// The answer to a step of a plan. `answer` is the common part of it.
pub(super) fn answer(
    spec: &Spec,
    state: &State,
    step: &Step,
    mut answer: Map<String, Value>,
) -> Result<Value, BadInput> {
    let arguments = step.arguments();
    needs(spec, step, "is_step_revision", "revises_step_number")?;
    needs(spec, step, "is_branch_point", "branch_from_step")?;
    let mut metadata = json!({
        "tool_name": spec.name,
        "step_history_length": state.steps().len(),
        "branches": branches(state),
    });
    for field in
        ["is_step_revision", "revises_step_number", "is_branch_point", "branch_from_step", "branch_id"]
    {
        if let Some(value) = arguments.as_json().get(field) {
            metadata[field] = value.clone();
        }
    }
    answer.insert("metadata".to_owned(), metadata);
    let mentions = [arguments.integer("revises_step_number"), arguments.integer("branch_from_step")];
    let unknown = mentions.into_iter().flatten().filter(|number| !state.has_number(*number));
    let sentence = |number| format!("There is no step {number} in this plan; the step was added to its end.");
    warn(&mut answer, unknown.map(sentence));
    if step.goes_on {
        if arguments.flag("more_steps_needed") == Some(true) && step.total == step.number {
            answer.insert("total_steps".to_owned(), (step.number + 1).into());
        }
        let actions = spec.actions.after(step.number, state.confidence());
        pause(&mut answer, spec, step, actions, "Think first, and look at what the next step builds on.");
    } else {
        let mut complete = complete(state);
        complete["branches"] = branches(state).into_iter().collect();
        complete["plan"] = plan(state);
        answer.insert("status".to_owned(), "planner_complete".into());
        answer.insert("planner_complete".to_owned(), true.into());
        answer.insert("complete_planner".to_owned(), complete);
        answer.insert("next_steps".to_owned(), spec.done.as_str().into());
    }
    Ok(Value::Object(answer))
}

/// A step that revises, or branches off, must say which step.
fn needs(spec: &Spec, step: &Step, flag: &str, number: &str) -> Result<(), BadInput> {
    let arguments = step.arguments();
    if arguments.flag(flag) == Some(true) && arguments.integer(number).is_none() {
        return Err(BadInput::Missing {
            tool: spec.name.clone(),
            field: number.to_owned(),
            needed: format!("`{number}` where `{flag}` is true"),
        });
    }
    Ok(())
}

fn branches(state: &State) -> BTreeSet<&str> {
    state.steps().iter().filter_map(|step| step.arguments().text("branch_id")).collect()
}

/// The steps of the plan, each in its last version at the place of its first.
fn plan(state: &State) -> Value {
    let mut plan: Vec<Value> = Vec::new();
    for step in state.steps() {
        let arguments = step.arguments();
        let mut entry = json!({ "step_number": step.number, "step": step.text() });
        for field in ["branch_id", "branch_from_step"] {
            if let Some(value) = arguments.as_json().get(field) {
                entry[field] = value.clone();
            }
        }
        let revised = arguments.integer("revises_step_number").and_then(|number| {
            plan.iter().rposition(|other| {
                other["step_number"] == number
                    && (entry["branch_id"].is_null() || entry["branch_id"] == other["branch_id"])
            })
        });
        match revised {
            Some(index) => {
                plan[index]["step"] = step.text().into();
                plan[index]["revised_in_step"] = step.number.into();
            }
            None => plan.push(entry),
        }
    }
    plan.into()
}
