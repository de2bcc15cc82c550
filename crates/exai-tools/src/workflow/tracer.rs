//! The tracer: what to look for, and how to present it.

use serde_json::{Map, Value};

use super::answer::pause;
use super::spec::Spec;
use super::state::State;
use super::step::Step;
use super::summary::complete;

/// The answer to a step of a trace. `answer` is the common part of it. A trace without a mode has the agent ask its user.
pub(super) fn answer(spec: &Spec, state: &State, step: &Step, mut answer: Map<String, Value>) -> Value {
    let text = |field: &str| step.arguments().text(field).unwrap_or_default();
    for field in ["trace_mode", "target_description"] {
        answer["metadata"][field] = text(field).into();
    }
    let Some(mode) = spec.modes.get(text("trace_mode")) else {
        answer.insert("status".to_owned(), "mode_selection_required".into());
        answer.insert("mode_selection_required".to_owned(), true.into());
        answer.insert(
            "next_steps".to_owned(),
            format!(
                "Ask the user what to trace: precision (what runs, in which order, from the target on) or dependencies \
                 (what uses the target, and what the target uses). Then call {} again with this trace_mode.",
                spec.name
            )
            .into(),
        );
        return Value::Object(answer);
    };
    if step.goes_on {
        let actions = mode.actions.after(step.number, state.confidence());
        pause(
            &mut answer,
            spec,
            step,
            actions,
            "Read the code first: do the required actions with your own tools.",
        );
    } else {
        answer.insert("status".to_owned(), format!("{}_complete", spec.name).into());
        answer.insert(format!("{}_complete", spec.name), true.into());
        answer.insert(format!("complete_{}", spec.name), complete(state));
        answer.insert("next_steps".to_owned(), mode.done.as_str().into());
    }
    Value::Object(answer)
}
