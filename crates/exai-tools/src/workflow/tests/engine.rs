use super::*;
use crate::explain::Explain;

fn workflows() -> impl Iterator<Item = &'static Spec> {
    specs().iter().filter(|spec| spec.kind == Kind::Workflow)
}

#[test]
fn a_step_that_is_not_the_last_pauses_without_a_model() {
    for tool in workflows() {
        let name = &tool.name;
        let step = step(
            tool,
            1,
            true,
            json!({
                "files_checked": ["/a", "/b"], "relevant_files": ["/a"], "relevant_context": ["f"],
                "issues_found": [{"severity": "high", "description": "x"}], "confidence": "medium", "images": ["/i.png"],
            }),
        );
        let answer = answer(tool, &State::default(), &step);
        assert_eq!(answer["status"], format!("pause_for_{name}"));
        assert_eq!(answer[format!("{name}_required")], true);
        assert_eq!(
            (&answer["step_number"], &answer["total_steps"], &answer["next_step_required"]),
            (&json!(1), &json!(3), &json!(true))
        );
        assert_eq!(
            answer[format!("{name}_status")],
            json!({
                "files_checked": 2, "relevant_files": 1, "relevant_context": 1, "issues_found": 1,
                "images_collected": 1, "current_confidence": "medium",
            })
        );
        assert_eq!(answer["required_actions"], json!(tool.actions.after(1, Confidence::Medium)));
        let next = answer["next_steps"].as_str().unwrap();
        assert!(next.starts_with(&format!("MANDATORY: DO NOT call {name} again immediately.")), "{next}");
        assert!(next.contains("step_number 2") && next.contains("continuation_id"), "{next}");
        assert_eq!(answer["continuation_id"], "thread-1");
        assert_eq!(answer["file_context"]["type"], "reference_only");
        assert_eq!(answer["metadata"], json!({"tool_name": name}));
        assert!(answer.get("warnings").is_none());
    }
}

#[test]
fn an_answer_is_the_same_each_time() {
    let tool = tool("debug");
    let step = step(tool, 1, true, json!({"confidence": "low"}));
    let texts: Vec<String> = (0..3).map(|_| answer(tool, &State::default(), &step).to_string()).collect();
    assert!(texts.iter().all(|text| *text == texts[0]));
    let keys: Vec<String> = object(serde_json::from_str(&texts[0]).unwrap()).keys().cloned().collect();
    assert!(keys.is_sorted());
}

#[test]
fn the_caller_fills_in_thread_and_files() {
    let tool = tool("debug");
    let context = CallContext {
        continuation_id: None,
        file_context: Some(json!({"type": "fully_embedded", "files_embedded": 2})),
    };
    let step = step(tool, 1, true, json!({}));
    let Ok(Next::Answer(answer)) = advance(tool, &State::default(), &step, &context) else { panic!() };
    assert!(answer.get("continuation_id").is_none());
    assert_eq!(answer["file_context"], json!({"type": "fully_embedded", "files_embedded": 2}));
    assert!(!answer["next_steps"].as_str().unwrap().contains("continuation_id"));
}

#[test]
fn the_agent_may_finish_alone() {
    let table = [
        (
            "debug",
            json!({"confidence": "certain"}),
            "high_confidence_completion",
            "skipped_due_to_certain_confidence",
        ),
        ("debug", json!({"use_assistant_model": false}), "local_work_complete", "skipped_by_request"),
        (
            "debug",
            json!({"use_assistant_model": false, "quick": true}),
            "local_work_complete",
            "skipped_by_request",
        ),
        (
            "codereview",
            json!({"review_validation_type": "internal"}),
            "local_work_complete",
            "skipped_by_request",
        ),
        ("precommit", json!({"precommit_type": "internal"}), "local_work_complete", "skipped_by_request"),
    ];
    for (name, more, status, reason) in table {
        let tool = tool(name);
        // Files alone would be a reason to ask.
        let mut more = object(more);
        more.insert("relevant_files".to_owned(), json!(["/a"]));
        let step = step(tool, 1, false, Value::Object(more));
        let answer = answer(tool, &State::default(), &step);
        assert_eq!(answer["status"], status);
        assert_eq!(answer["expert_analysis"]["status"], reason);
        assert_eq!(answer["skip_expert_analysis"], true);
        assert_eq!(answer[format!("{name}_complete")], true);
        let complete = &answer[format!("complete_{name}")];
        assert_eq!(complete["initial_request"], "text of step 1");
        assert_eq!(complete["final_analysis"], "findings of step 1");
        assert_eq!(complete["relevant_files"], json!(["/a"]));
    }
}

#[test]
fn the_expert_is_asked_if_there_is_something_to_judge() {
    let tool = tool("analyze");
    let empty = |number, goes_on, more: Value| {
        let mut more = object(more);
        more.insert("findings".to_owned(), json!(""));
        step_arguments(number, goes_on, Value::Object(more))
    };
    let last = |more: Value| Step::parse(tool, &empty(2, false, more)).unwrap();
    let before = state(tool, &[empty(1, true, json!({}))]);
    let nothing = answer(tool, &before, &last(json!({})));
    assert_eq!(nothing["status"], "local_work_complete");
    assert_eq!(nothing["expert_analysis"]["status"], "skipped_for_lack_of_findings");
    let one_finding = state(tool, &[step_arguments(1, true, json!({}))]);
    assert_eq!(answer(tool, &one_finding, &last(json!({})))["status"], "local_work_complete");

    expert(tool, &before, &last(json!({"relevant_files": ["/a"]})));
    expert(tool, &before, &last(json!({"issues_found": [{"description": "x"}]})));
    expert(tool, &one_finding, &step(tool, 2, false, json!({})));
    expert(tool, &before, &last(json!({"quick": true})));
    // What an earlier step was certain of, the last one need not be.
    let certain = state(tool, &[step_arguments(1, true, json!({"confidence": "certain"}))]);
    expert(tool, &certain, &step(tool, 2, false, json!({"confidence": "high"})));
}

#[test]
fn one_step_is_enough_for_an_opinion() {
    for tool in workflows() {
        for (goes_on, more) in
            [(false, json!({"findings": ""})), (true, json!({"findings": "", "quick": true}))]
        {
            let request = expert(tool, &State::default(), &step(tool, 1, goes_on, more));
            assert_eq!(request.text(), "## Task\n\ntext of step 1", "{}", tool.name);
            assert_eq!(request.system, tool.system);
            assert!(request.files.is_empty());
        }
    }
    // A quick opinion needs no thread.
    expert(tool("debug"), &State::default(), &step(tool("debug"), 4, true, json!({"quick": true})));
}

#[test]
fn a_step_without_its_thread_is_wrong() {
    for tool in specs().iter().filter(|spec| spec.field("step_number").is_some()) {
        let mut arguments = step_arguments(3, false, json!({"trace_mode": "ask", "target_description": "f"}));
        arguments.extend(object(json!({"num_files_documented": 0, "total_files_to_document": 0})));
        let step = Step::parse(tool, &arguments).unwrap();
        let error = advance(tool, &State::default(), &step, &context()).unwrap_err();
        assert_eq!(error.code(), "wrong_step", "{}", tool.name);
        assert_eq!(
            error.to_string(),
            format!(
                "Step 3 of `{}` has nothing to continue: steps 1 to 2 are not known without a continuation_id.",
                tool.name
            )
        );
    }
    let second = step(tool("debug"), 2, true, json!({"continuation_id": "other"}));
    let error = advance(tool("debug"), &State::default(), &second, &context()).unwrap_err();
    assert!(error.to_string().ends_with("step 1 is not in this thread."), "{error}");
    assert!(error.hint().unwrap().contains("quick"));
}

#[test]
fn what_is_odd_is_told_and_nothing_is_lost() {
    let tool = tool("debug");
    let first = step_arguments(1, true, json!({}));
    let second = step_arguments(2, true, json!({}));
    let before = state(tool, &[first.clone(), second.clone()]);
    let table = [
        (step_arguments(3, true, json!({})), Value::Null, 3),
        (step_arguments(4, true, json!({})), json!(["Step 3 is missing."]), 3),
        (step_arguments(6, true, json!({})), json!(["Steps 3 to 5 are missing."]), 3),
        (second.clone(), json!(["Step 2 is the same as before; nothing was added."]), 2),
        (
            step_arguments(2, true, json!({"findings": "other"})),
            json!(["Step 2 was there already, with other content; both count."]),
            3,
        ),
        (
            step_arguments(1, true, json!({"findings": "other"})),
            json!([
                "Step 1 begins a new investigation; the steps before it in this thread (2) do not count any more."
            ]),
            1,
        ),
        (step_arguments(3, true, json!({"backtrack_from_step": 1})), Value::Null, 2),
        (
            step_arguments(3, true, json!({"backtrack_from_step": 9})),
            json!(["There is no step 9 to go back to; nothing was dropped."]),
            3,
        ),
    ];
    for (arguments, warnings, count) in table {
        let step = Step::parse(tool, &arguments).unwrap();
        let answer = answer(tool, &before, &step);
        assert_eq!(answer["warnings"], warnings);
        assert_eq!(before.with(&step).steps().len(), count, "{warnings}");
    }
}

#[test]
fn nobody_is_asked_for_a_model_before_the_agent_says_so() {
    for tool in workflows() {
        for confidence in ["exploring", "very_high", "certain"] {
            let step = step(tool, 1, true, json!({"confidence": confidence, "relevant_files": ["/a"]}));
            let answer = answer(tool, &State::default(), &step);
            assert_eq!(answer["status"], format!("pause_for_{}", tool.name));
            let may_finish = answer["next_steps"].as_str().unwrap().contains("next_step_required false");
            assert_eq!(may_finish, confidence != "exploring");
        }
    }
}
