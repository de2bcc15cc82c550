//! The answer to the last step of a workflow, once the expert was asked.

use serde_json::{Value, json};

use super::answer::{self, CallContext};
use super::outcome::{ExpertOutcome, TRUNCATED, is_truncated, metadata, object, special_status, way_out};
use super::spec::Spec;
use super::state::State;
use super::step::Step;
use super::summary::complete;

/// The answer to a step for which `advance` has asked for an expert. `state` is the one that `advance` was given. Whatever
/// came of it, the answer has the agent's own work; its status is `error` if there is no analysis.
pub fn finish(
    spec: &Spec,
    state: &State,
    step: &Step,
    context: &CallContext,
    outcome: &ExpertOutcome,
) -> Value {
    let name = &spec.name;
    let after = state.with(step);
    let mut answer = answer::base(spec, state, &after, step, context);
    answer.insert(format!("complete_{name}"), complete(&after));
    let mut put = |key: &str, value: Value| answer.insert(key.to_owned(), value);
    match outcome {
        ExpertOutcome::Failed(failure) => {
            put("status", "error".into());
            put("content", failure.message.as_str().into());
            put("content_type", "text".into());
            put("error", failure.to_json());
            put(
                "next_steps",
                "There is no expert's analysis; your own work is kept. Send the same step again to ask once more, or \
                 with use_assistant_model false to finish without an expert."
                    .into(),
            );
        }
        ExpertOutcome::Answered(model) => {
            let analysis = object(&model.text);
            let special = analysis.as_ref().and_then(special_status);
            put("status", special.map_or_else(|| format!("{name}_complete").into(), Value::from));
            put(
                "next_steps",
                special.map_or_else(|| next_steps(spec), |status| way_out(status).to_owned()).into(),
            );
            if special.is_none() {
                put("important_considerations", spec.considerations.as_str().into());
            }
            put("metadata", metadata(spec, model));
            put(
                "expert_analysis",
                analysis.map_or_else(
                    || json!({ "status": "analysis_complete", "raw_analysis": model.text, "format": "text" }),
                    Value::Object,
                ),
            );
            if is_truncated(model) {
                answer::warn(&mut answer, [TRUNCATED.to_owned()]);
            }
        }
    }
    let complete = format!("{name}_complete");
    let is_complete = answer["status"] == *complete;
    answer.insert(complete, is_complete.into());
    Value::Object(answer)
}

fn next_steps(spec: &Spec) -> String {
    format!(
        "The {} is complete. Compare the expert's analysis with your own findings, and present the result to the user.",
        spec.name
    )
}
