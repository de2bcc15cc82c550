use super::*;
use crate::explain::Explain;

fn planned(number: u64, goes_on: bool, more: Value) -> Map<String, Value> {
    let mut arguments = step_arguments(number, goes_on, more);
    arguments.remove("findings");
    arguments
}

#[test]
fn a_plan_grows_by_steps_revisions_and_branches() {
    let tool = tool("planner");
    let before = state(
        tool,
        &[
            planned(1, true, json!({})),
            planned(2, true, json!({})),
            planned(3, true, json!({"is_branch_point": true, "branch_from_step": 1, "branch_id": "b"})),
            planned(4, true, json!({"is_step_revision": true, "revises_step_number": 2})),
        ],
    );
    let pause = Step::parse(tool, &planned(5, true, json!({"more_steps_needed": true}))).unwrap();
    let paused = answer(tool, &before, &pause);
    assert_eq!(paused["status"], "pause_for_planner");
    assert_eq!(paused["planner_required"], true);
    assert_eq!(paused["total_steps"], 6);
    assert_eq!(paused["metadata"]["branches"], json!(["b"]));
    assert_eq!(paused["metadata"]["step_history_length"], 5);

    let last = Step::parse(tool, &planned(5, false, json!({}))).unwrap();
    let done = answer(tool, &before, &last);
    assert_eq!(done["status"], "planner_complete");
    assert_eq!(done["planner_complete"], true);
    assert_eq!(
        done["complete_planner"]["plan"],
        json!([
            {"step_number": 1, "step": "text of step 1"},
            {"step_number": 2, "step": "text of step 4", "revised_in_step": 4},
            {"step_number": 3, "step": "text of step 3", "branch_id": "b", "branch_from_step": 1},
            {"step_number": 5, "step": "text of step 5"},
        ])
    );
    assert_eq!(done["complete_planner"]["branches"], json!(["b"]));
    assert_eq!(done["next_steps"], tool.done);
}

#[test]
fn a_plan_says_what_does_not_fit() {
    let tool = tool("planner");
    let before = state(tool, &[planned(1, true, json!({}))]);
    for (flag, number) in
        [("is_step_revision", "revises_step_number"), ("is_branch_point", "branch_from_step")]
    {
        let step = Step::parse(tool, &planned(2, true, json!({flag: true}))).unwrap();
        let error = advance(tool, &before, &step, &context()).unwrap_err();
        assert_eq!(error.code(), "invalid_arguments");
        assert_eq!(
            error.to_string(),
            format!("`{number}` is missing: `planner` needs `{number}` where `{flag}` is true.")
        );
        let known = Step::parse(tool, &planned(3, true, json!({flag: true, number: 1}))).unwrap();
        let warnings = answer(tool, &before, &known)["warnings"].clone();
        assert_eq!(warnings, json!(["Step 2 is missing."]));
        let step = Step::parse(tool, &planned(2, true, json!({flag: true, number: 9}))).unwrap();
        let answer = answer(tool, &before, &step);
        assert_eq!(
            answer["warnings"],
            json!(["There is no step 9 in this plan; the step was added to its end."])
        );
    }
}

#[test]
fn documentation_is_done_when_all_files_are_counted() {
    let tool = tool("docgen");
    let arguments = |number, goes_on, done: u64, all: u64| {
        step_arguments(number, goes_on, json!({"num_files_documented": done, "total_files_to_document": all}))
    };
    let parse =
        |number, goes_on, done, all| Step::parse(tool, &arguments(number, goes_on, done, all)).unwrap();
    let before = state(tool, &[arguments(1, true, 0, 2)]);

    let counted = answer(tool, &State::default(), &parse(1, true, 0, 2));
    assert_eq!(counted["status"], "pause_for_docgen");
    assert_eq!(counted["docgen_status"]["total_files_to_document"], 2);
    let too_early = answer(tool, &before, &parse(2, false, 1, 2));
    assert_eq!(
        (&too_early["status"], &too_early["next_step_required"]),
        (&json!("pause_for_docgen"), &json!(true))
    );
    assert!(too_early["next_steps"].as_str().unwrap().contains("1 of 2 files are documented, 1 to go"));
    let done = answer(tool, &before, &parse(2, false, 2, 2));
    assert_eq!(done["status"], "docgen_complete");
    assert_eq!(done["complete_docgen"]["files_documented"], 2);
    let error = advance(tool, &before, &parse(2, false, 3, 2), &context()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`num_files_documented` is 3, and must be at most total_files_to_document, which is 2."
    );
}

#[test]
fn a_trace_has_a_mode() {
    let tool = tool("tracer");
    let step = |mode: &str, goes_on| {
        super::step(tool, 1, goes_on, json!({"trace_mode": mode, "target_description": "m::f"}))
    };
    let ask = answer(tool, &State::default(), &step("ask", true));
    assert_eq!(ask["status"], "mode_selection_required");
    for mode in ["precision", "dependencies"] {
        let paused = answer(tool, &State::default(), &step(mode, true));
        assert_eq!(paused["status"], "pause_for_tracer");
        assert_eq!(paused["tracer_required"], true);
        assert_eq!(paused["required_actions"], json!(tool.modes[mode].actions.after(1, Confidence::Low)));
        assert_eq!(paused["metadata"]["target_description"], "m::f");
        let done = answer(tool, &State::default(), &step(mode, false));
        assert_eq!(done["status"], "tracer_complete");
        assert_eq!(done["next_steps"], tool.modes[mode].done);
    }
}
