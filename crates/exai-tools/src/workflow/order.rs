//! Whether a step continues what is known.

use super::bad_input::BadInput;
use super::spec::Spec;
use super::state::State;
use super::step::Step;

/// Refuses a step without which earlier ones would be lost: a later step of an investigation that is not known. The
/// expert would judge without the task and without what was found.
pub(super) fn check(spec: &Spec, state: &State, step: &Step) -> Result<(), BadInput> {
    if step.number == 1 || step.is_quick || !state.steps().is_empty() {
        return Ok(());
    }
    let earlier =
        if step.number == 2 { "step 1 is".to_owned() } else { format!("steps 1 to {} are", step.number - 1) };
    let place =
        if step.continuation_id.is_some() { "in this thread" } else { "known without a continuation_id" };
    Err(BadInput::WrongStep {
        problem: format!(
            "Step {} of `{}` has nothing to continue: {earlier} not {place}.",
            step.number, spec.name
        ),
        way_out: format!(
            "Pass the continuation_id from the answer to step 1, or begin with step 1 and what you know so far; `{}` \
             with quick true asks at once.",
            spec.name
        ),
    })
}

/// What is odd about a step that is carried out nevertheless, in sentences. `state` is the one before the step.
pub(super) fn warnings(state: &State, step: &Step) -> Vec<String> {
    let mut warnings = Vec::new();
    let number = step.number;
    let count = state.steps().len();
    let last = state.steps().last().map_or(0, |step| step.number);
    if state.unreadable() > 0 {
        warnings.push(format!(
            "Earlier steps of this thread that cannot be read, and do not count: {}.",
            state.unreadable()
        ));
    }
    if state.has(step) {
        warnings.push(format!("Step {number} is the same as before; nothing was added."));
        return warnings;
    }
    if number == 1 {
        if count > 0 {
            warnings.push(format!(
                "Step 1 begins a new investigation; the steps before it in this thread ({count}) do not count any more."
            ));
        }
        return warnings;
    }
    match step.backtrack_from() {
        Some(back) if !state.has_number(back) => {
            warnings.push(format!("There is no step {back} to go back to; nothing was dropped."));
        }
        Some(_) => return warnings,
        None => {}
    }
    if state.has_number(number) {
        warnings.push(format!("Step {number} was there already, with other content; both count."));
    } else if count > 0 && number == last + 2 {
        warnings.push(format!("Step {} is missing.", last + 1));
    } else if count > 0 && number > last + 2 {
        warnings.push(format!("Steps {} to {} are missing.", last + 1, number - 1));
    }
    warnings
}
