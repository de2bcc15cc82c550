//! What a step leads to.

use serde_json::{Value, json};

use super::answer::{self, CallContext};
use super::bad_input::BadInput;
use super::confidence::Confidence;
use super::consensus::{self, Consultation};
use super::expert_request::{ExpertRequest, for_expert};
use super::spec::{ExpertRule, Kind, Spec};
use super::state::State;
use super::step::Step;
use super::summary::complete;
use super::{docgen, order, planner, tracer};

/// What comes after a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This is the answer.
    Answer(Value),
    /// A model has to be asked; [`finish`](super::finish()) makes the answer.
    AskExpert(ExpertRequest),
    /// These models have to be asked, side by side; [`combine`](super::combine) makes the answer.
    AskModels(Vec<Consultation>),
}

/// What comes after `step`. `state` is what the earlier steps of the tool in the thread have led to. Asks for a model only
/// if the step is the last one and wants it; see `without_expert` in this file.
pub fn advance(spec: &Spec, state: &State, step: &Step, context: &CallContext) -> Result<Next, BadInput> {
    order::check(spec, state, step)?;
    match spec.kind {
        Kind::Consensus if step.number == 1 => {
            return consensus::consultations(spec, step).map(Next::AskModels);
        }
        Kind::Consensus => {
            return Ok(Next::Answer(consensus::all_answered(spec, state, step, context)));
        }
        Kind::Notebook => return notebook(spec, state, step, context).map(Next::Answer),
        Kind::Workflow | Kind::Simple | Kind::Utility => {}
    }
    let after = state.with(step);
    if step.goes_on {
        return Ok(Next::Answer(pause(spec, state, &after, step, context)));
    }
    Ok(match without_expert(spec, &after, step) {
        Some(reason) => Next::Answer(local(spec, state, &after, step, context, &reason)),
        None => Next::AskExpert(for_expert(spec, &after)),
    })
}

fn notebook(spec: &Spec, state: &State, step: &Step, context: &CallContext) -> Result<Value, BadInput> {
    let after = state.with(step);
    let answer = answer::base(spec, state, &after, step, context);
    match spec.name.as_str() {
        "planner" => planner::answer(spec, &after, step, answer),
        "docgen" => docgen::answer(spec, &after, step, answer),
        _ => Ok(tracer::answer(spec, &after, step, answer)),
    }
}

fn pause(spec: &Spec, before: &State, state: &State, step: &Step, context: &CallContext) -> Value {
    let mut answer = answer::base(spec, before, state, step, context);
    let confidence = state.confidence();
    let work = if confidence >= Confidence::VeryHigh {
        "Confirm what you have with the required actions; if nothing is left to do, finish with next_step_required false."
    } else {
        "Investigate first: do the required actions with your own tools."
    };
    answer::pause(&mut answer, spec, step, spec.actions.after(step.number, confidence), work);
    Value::Object(answer)
}

/// Why an agent finishes without an expert.
struct Reason {
    status: &'static str,
    expert_status: &'static str,
    text: &'static str,
}

/// Why no expert is asked at the last step: the agent is certain, does not want one, or there is nothing to judge. An
/// agent that finishes with step 1, or asks for a quick opinion, wants the opinion at once: then there is always
/// something to judge.
fn without_expert(spec: &Spec, state: &State, step: &Step) -> Option<Reason> {
    if step.confidence() == Some(Confidence::Certain) {
        return Some(Reason {
            status: "high_confidence_completion",
            expert_status: "skipped_due_to_certain_confidence",
            text: "You are certain of the result.",
        });
    }
    let chose_local =
        |(field, value): (&String, &String)| state.latest(field).is_some_and(|said| said == value);
    let is_declined = state.latest("use_assistant_model") == Some(&Value::Bool(false))
        || spec.local_when.iter().any(chose_local)
        || spec.expert == ExpertRule::Never;
    if is_declined {
        return Some(Reason {
            status: "local_work_complete",
            expert_status: "skipped_by_request",
            text: "You have asked for no expert.",
        });
    }
    let is_warranted = step.number == 1
        || step.is_quick
        || !state.all("relevant_files").is_empty()
        || state.findings().len() >= 2
        || !state.issues().is_empty();
    (!is_warranted).then_some(Reason {
        status: "local_work_complete",
        expert_status: "skipped_for_lack_of_findings",
        text: "There are no relevant files, no issues, and findings of fewer than two steps.",
    })
}

fn local(
    spec: &Spec,
    before: &State,
    state: &State,
    step: &Step,
    context: &CallContext,
    reason: &Reason,
) -> Value {
    let name = &spec.name;
    let mut answer = answer::base(spec, before, state, step, context);
    let mut complete = complete(state);
    complete["final_analysis"] = step.findings().into();
    complete["confidence_level"] = state.confidence().name().into();
    answer.insert("status".to_owned(), reason.status.into());
    answer.insert(format!("{name}_complete"), true.into());
    answer.insert(format!("complete_{name}"), complete);
    answer.insert("skip_expert_analysis".to_owned(), true.into());
    answer.insert(
        "expert_analysis".to_owned(),
        json!({ "status": reason.expert_status, "reason": reason.text }),
    );
    answer.insert(
        "next_steps".to_owned(),
        format!("The {name} is complete, and no expert was asked. Present your result to the user and go on with it.")
            .into(),
    );
    Value::Object(answer)
}
