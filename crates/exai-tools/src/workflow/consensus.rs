//! The same question to several models, each with a stance.
//!
//! The origin asked one model with each step. Here step 1 asks all of them side by side, and later steps are answered
//! from that: an agent that goes on in the old way is told so, and nothing is asked twice.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::answer::{self, CallContext};
use super::bad_input::BadInput;
use super::expert_request::{ExpertRequest, Part};
use super::limits::MAX_MODELS;
use super::outcome::{ExpertOutcome, TRUNCATED, is_truncated, metadata};
use super::spec::Spec;
use super::state::State;
use super::step::Step;

/// What each stance asks of a model.
static STANCE_TEXTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("prompts/stances.json"))
        .expect("BUG: prompts/stances.json is not valid")
});

/// One model that is asked, and what it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Consultation {
    /// The model that the agent has named.
    pub model: String,
    /// `for`, `against` or `neutral`.
    pub stance: String,
    /// The request; `request.model` is the same model.
    pub request: ExpertRequest,
}

/// What to ask, given the first step of a consensus. The agent's own view is not sent: each model answers unswayed.
pub(super) fn consultations(spec: &Spec, step: &Step) -> Result<Vec<Consultation>, BadInput> {
    let arguments = step.arguments();
    let models = arguments.list("models");
    if models.is_empty() {
        return Err(BadInput::Missing {
            tool: spec.name.clone(),
            field: "models".to_owned(),
            needed: format!(
                "a list of 1 to {MAX_MODELS} objects with model and stance in step 1 (`listmodels` says which there are)"
            ),
        });
    }
    let owned = |field: &str| arguments.texts(field).map(str::to_owned).collect();
    let ask = |model: &Value| {
        let part = |name: &str| model[name].as_str().unwrap_or_default().to_owned();
        let stance = part("stance");
        let own_words = Some(part("stance_prompt")).filter(|prompt| !prompt.trim().is_empty());
        let stance_text = own_words.or_else(|| STANCE_TEXTS.get(&stance).cloned()).unwrap_or_default();
        Consultation {
            model: part("model"),
            request: ExpertRequest {
                system: spec.system.replacen("{stance}", &stance_text, 1),
                parts: vec![Part { title: String::new(), text: step.text().to_owned() }],
                files: owned("relevant_files"),
                images: owned("images"),
                thinking: arguments.thinking().or(spec.default_thinking()),
                temperature: arguments.real("temperature"),
                model: Some(part("model")),
            },
            stance,
        }
    };
    Ok(models.iter().map(ask).collect())
}

/// The answer to step 1 of a consensus, from what came of each consultation. A model that has failed is named with its
/// error beside the others; only if all have failed, the status is `error`.
pub fn combine(
    spec: &Spec,
    state: &State,
    step: &Step,
    context: &CallContext,
    outcomes: &[(Consultation, ExpertOutcome)],
) -> Value {
    let after = state.with(step);
    let mut answer = answer::base(spec, state, &after, step, context);
    let views: Vec<Value> = outcomes.iter().map(|(asked, outcome)| view(spec, asked, outcome)).collect();
    let count = views.iter().filter(|view| view["status"] == "success").count();
    let (all, failed) = (views.len(), views.len() - count);
    complete(spec, &after, &mut answer);
    answer["complete_consensus"]["total_responses"] = count.into();
    answer.insert(
        "agent_analysis".to_owned(),
        json!({ "initial_analysis": step.text(), "findings": step.findings() }),
    );
    answer.insert("accumulated_responses".to_owned(), views.into());
    if count == 0 {
        answer.insert("status".to_owned(), "error".into());
        answer.insert("consensus_complete".to_owned(), false.into());
        let error = json!({
            "code": "all_models_failed",
            "message": format!("None of the {all} models has answered; accumulated_responses says why."),
        });
        answer.insert("error".to_owned(), error);
        answer.insert(
            "next_steps".to_owned(),
            "Mend what the errors name, or choose other models (listmodels), and send step 1 again.".into(),
        );
    } else {
        let gap = if failed == 0 {
            String::new()
        } else {
            format!(
                " {failed} of {all} models have not answered; step 1 with these models alone asks them again."
            )
        };
        answer.insert("next_steps".to_owned(), format!("{}{gap}", spec.done).into());
    }
    Value::Object(answer)
}

/// The answer to a later step: all models have answered already.
pub(super) fn all_answered(spec: &Spec, before: &State, step: &Step, context: &CallContext) -> Value {
    let after = before.with(step);
    let mut answer = answer::base(spec, before, &after, step, context);
    complete(spec, &after, &mut answer);
    answer.insert("next_step_required".to_owned(), false.into());
    answer.insert(
        "next_steps".to_owned(),
        format!(
            "No model was asked in this step: all of them were asked side by side in step 1, and its answer \
             (accumulated_responses) has every view. {}",
            spec.done
        )
        .into(),
    );
    Value::Object(answer)
}

fn complete(spec: &Spec, state: &State, answer: &mut Map<String, Value>) {
    let consulted = models(state);
    answer.insert("status".to_owned(), "consensus_workflow_complete".into());
    answer.insert("consensus_complete".to_owned(), true.into());
    answer.insert(
        "complete_consensus".to_owned(),
        json!({
            "initial_prompt": state.initial_request(),
            "models_consulted": consulted,
        }),
    );
    let metadata = json!({ "tool_name": spec.name, "workflow_type": "multi_model_consensus", "models_consulted": consulted });
    answer.insert("metadata".to_owned(), metadata);
}

/// Each model of step 1 as `model:stance`.
fn models(state: &State) -> Vec<String> {
    let models = state.steps().first().map_or(&[][..], |step| step.arguments().list("models"));
    let part = |model: &Value, name: &str| model[name].as_str().unwrap_or_default().to_owned();
    models.iter().map(|model| format!("{}:{}", part(model, "model"), part(model, "stance"))).collect()
}

fn view(spec: &Spec, asked: &Consultation, outcome: &ExpertOutcome) -> Value {
    let mut view = json!({ "model": asked.model, "stance": asked.stance });
    match outcome {
        ExpertOutcome::Answered(answer) => {
            view["status"] = "success".into();
            view["verdict"] = answer.text.as_str().into();
            view["metadata"] = metadata(spec, answer);
            if is_truncated(answer) {
                view["warnings"] = json!([TRUNCATED]);
            }
        }
        ExpertOutcome::Failed(failure) => {
            view["status"] = "error".into();
            view["error"] = failure.to_json();
        }
    }
    view
}
