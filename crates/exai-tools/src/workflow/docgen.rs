//! The documentation tool: a count of the files that are done.

use serde_json::{Map, Value, json};

use super::answer::pause;
use super::bad_input::BadInput;
use super::spec::Spec;
use super::state::State;
use super::step::Step;
use super::summary::complete;

/// The answer to a step of a documentation. `answer` is the common part of it. The work is complete when all files are
/// counted; an agent that wants to stop earlier is told what is left.
pub(super) fn answer(
    spec: &Spec,
    state: &State,
    step: &Step,
    mut answer: Map<String, Value>,
) -> Result<Value, BadInput> {
    let count = |field: &str| step.arguments().integer(field).unwrap_or_default();
    let (done, all) = (count("num_files_documented"), count("total_files_to_document"));
    if done > all {
        return Err(BadInput::Unfit {
            field: "num_files_documented".to_owned(),
            given: done.to_string(),
            allowed: format!("at most total_files_to_document, which is {all}"),
        });
    }
    answer["docgen_status"]["num_files_documented"] = done.into();
    answer["docgen_status"]["total_files_to_document"] = all.into();
    let left = all - done;
    if step.goes_on || left > 0 {
        let work = if step.number == 1 {
            "Find and count the files first; document nothing yet.".to_owned()
        } else if left == 0 {
            "All files are counted as documented: check them, then finish with next_step_required false."
                .to_owned()
        } else {
            format!("{done} of {all} files are documented, {left} to go: document the next one.")
        };
        pause(&mut answer, spec, step, spec.actions.after(step.number, state.confidence()), &work);
        answer.insert("next_step_required".to_owned(), true.into());
    } else {
        let mut complete = complete(state);
        complete["files_documented"] = json!(done);
        answer.insert("status".to_owned(), "docgen_complete".into());
        answer.insert("docgen_complete".to_owned(), true.into());
        answer.insert("complete_docgen".to_owned(), complete);
        answer.insert("next_steps".to_owned(), spec.done.as_str().into());
    }
    Ok(Value::Object(answer))
}
