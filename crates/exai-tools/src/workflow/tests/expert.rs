use super::*;
use crate::models::request::{ModelMessage, Role, Thinking};
use crate::workflow::limits::{MAX_PART_BYTES, MAX_SUMMARY_BYTES, MAX_TEXT_BYTES};

/// An investigation of three steps: what is before the last one, and the last one.
fn investigation() -> (State, Step) {
    let tool = tool("codereview");
    let first = step_arguments(
        1,
        true,
        json!({
            "review_type": "security", "focus_on": "input", "severity_filter": "high",
            "relevant_files": ["/a"], "files_checked": ["/a", "/b"], "hypothesis": "h1", "confidence": "low",
        }),
    );
    let second = step_arguments(
        2,
        true,
        json!({
            "relevant_files": ["/b", "/a"], "relevant_context": ["m::f"], "hypothesis": "h2", "confidence": "high",
            "issues_found": [{"severity": "high", "description": "it leaks", "line": 7}],
        }),
    );
    let last = json!({"model": "glm-5", "temperature": 0.25, "thinking_mode": "max", "images": ["/i.png"]});
    (state(tool, &[first, second]), step(tool, 3, false, last))
}

#[test]
fn the_expert_gets_all_of_the_work() {
    let (state, last) = investigation();
    let request = expert(tool("codereview"), &state, &last);
    assert_eq!(
        request.text(),
        "## Task\n\ntext of step 1\n\n\
         ## Settings\n\n- review type: security\n- focus on: input\n- severity filter: high\n\n\
         ## What the agent has done\n\nStep 2: text of step 2\n\nStep 3: text of step 3\n\n\
         ## Findings of the agent\n\nStep 1: findings of step 1\n\nStep 2: findings of step 2\n\n\
         Step 3: findings of step 3\n\n\
         ## Issues found by the agent\n\n- [high] it leaks (line: 7)\n\n\
         ## Hypotheses of the agent, the last one is the present one\n\nStep 1: h1\nStep 2: h2\n\n\
         ## Functions and places that matter\n\n- m::f\n\n\
         ## Files that the agent has examined\n\n- /a\n- /b\n\n\
         ## Confidence of the agent\n\nhigh"
    );
    assert_eq!(request.files, ["/a", "/b"]);
    assert_eq!(request.images, ["/i.png"]);
    assert_eq!(request.model.as_deref(), Some("glm-5"));
    assert_eq!((request.temperature, request.thinking), (Some(0.25), Some(Thinking::Max)));
}

#[test]
fn a_request_becomes_one_message_after_the_history() {
    let (state, last) = investigation();
    let request = expert(tool("codereview"), &state, &last);
    let earlier = ModelMessage { role: Role::Assistant, text: "before".to_owned(), images: Vec::new() };
    let made = request.to_model_request(vec![earlier], "content of /a", Vec::new());
    assert_eq!(made.messages.len(), 2);
    assert_eq!(made.messages[1].role, Role::User);
    assert!(made.messages[1].text.ends_with("\n\n## Files\n\ncontent of /a"));
    assert_eq!(made.system, tool("codereview").system);
    let plain = request.to_model_request(Vec::new(), "", Vec::new());
    assert_eq!(plain.messages[0].text, request.text());
}

#[test]
fn a_tool_may_let_its_model_think_more() {
    let of =
        |name: &str| expert(tool(name), &State::default(), &step(tool(name), 1, false, json!({}))).thinking;
    assert_eq!((of("thinkdeep"), of("debug")), (Some(Thinking::High), None));
}

#[test]
fn an_analysis_in_words_is_passed_on() {
    let (state, last) = investigation();
    let tool = tool("codereview");
    let outcome = ExpertOutcome::Answered(model_answer("All good."));
    let context = CallContext {
        file_context: Some(json!({"type": "fully_embedded", "files_embedded": 2})),
        ..context()
    };
    let answer = checked(tool, finish(tool, &state, &last, &context, &outcome));
    assert_eq!(answer["status"], "codereview_complete");
    assert_eq!(answer["codereview_complete"], true);
    assert_eq!(
        answer["expert_analysis"],
        json!({"status": "analysis_complete", "raw_analysis": "All good.", "format": "text"})
    );
    assert_eq!(answer["important_considerations"], tool.considerations);
    assert_eq!(
        answer["metadata"],
        json!({
            "tool_name": "codereview", "model_used": "glm-5", "provider_used": "glm", "finish_reason": "stop",
            "truncated": false, "elapsed_ms": 1500, "usage": {"input_tokens": 100, "output_tokens": 20},
        })
    );
    assert_eq!(answer["file_context"]["type"], "fully_embedded");
    assert_eq!(answer["continuation_id"], "thread-1");
    assert_eq!(
        answer["complete_codereview"],
        json!({
            "initial_request": "text of step 1",
            "steps_taken": 3,
            "files_examined": ["/a", "/b"],
            "relevant_files": ["/a", "/b"],
            "relevant_context": ["m::f"],
            "issues_found": [{"severity": "high", "description": "it leaks", "line": 7}],
            "work_summary": "3 steps, 2 files examined, 1 issue; confidence: high.\nHypothesis: h2\n\
                Step 1: findings of step 1\nStep 2: findings of step 2\nStep 3: findings of step 3",
        })
    );
}

#[test]
fn an_analysis_in_json_is_passed_on_as_json() {
    let (state, last) = investigation();
    let tool = tool("codereview");
    for text in
        ["{\"summary\":\"ok\"}", " ```json\n{\"summary\":\"ok\"}\n``` ", "```\n{\"summary\":\"ok\"}```"]
    {
        let outcome = ExpertOutcome::Answered(model_answer(text));
        let answer = finish(tool, &state, &last, &context(), &outcome);
        assert_eq!(answer["expert_analysis"], json!({"summary": "ok"}));
        assert_eq!(answer["status"], "codereview_complete");
    }
    for text in ["[1]", "{\"summary\":", "{} and more", ""] {
        let outcome = ExpertOutcome::Answered(model_answer(text));
        let answer = finish(tool, &state, &last, &context(), &outcome);
        assert_eq!(answer["expert_analysis"]["raw_analysis"], text);
    }
}

#[test]
fn an_expert_that_cannot_go_on_decides_the_status() {
    let (state, last) = investigation();
    let tool = tool("codereview");
    for status in ["files_required_to_continue", "investigation_paused"] {
        let text = json!({"status": status, "mandatory_instructions": "need /c", "files_needed": ["/c"]})
            .to_string();
        let answer = finish(tool, &state, &last, &context(), &ExpertOutcome::Answered(model_answer(&text)));
        assert_eq!((&answer["status"], &answer["codereview_complete"]), (&json!(status), &json!(false)));
        assert_eq!(answer["expert_analysis"]["files_needed"], json!(["/c"]));
        assert!(answer.get("important_considerations").is_none());
        assert!(answer.get("complete_codereview").is_some());
    }
    let foreign = json!({"status": "error"}).to_string();
    let answer = finish(tool, &state, &last, &context(), &ExpertOutcome::Answered(model_answer(&foreign)));
    assert_eq!(answer["status"], "codereview_complete");
}

#[test]
fn a_failure_keeps_the_work_of_the_agent() {
    let (state, last) = investigation();
    let tool = tool("codereview");
    let answer = checked(tool, finish(tool, &state, &last, &context(), &failure()));
    assert_eq!(answer["status"], "error");
    assert_eq!(
        answer["error"],
        json!({
            "code": "provider_unreachable",
            "message": "The provider glm cannot be reached.",
            "hint": "Run `exai doctor`.",
        })
    );
    assert_eq!(answer["content"], "The provider glm cannot be reached.");
    assert_eq!(answer["complete_codereview"]["steps_taken"], 3);
    assert_eq!(answer["continuation_id"], "thread-1");
    assert!(answer.get("expert_analysis").is_none());
}

#[test]
fn a_cut_answer_says_that_it_is_cut() {
    let (state, last) = investigation();
    let tool = tool("codereview");
    let table = [
        (Finish::Complete, "stop", false),
        (Finish::Length, "length", true),
        (Finish::Filtered, "content_filter", true),
        (Finish::Other("network".to_owned()), "network", false),
    ];
    for (finish_reason, word, truncated) in table {
        let outcome = ExpertOutcome::Answered(ModelAnswer { finish: finish_reason, ..model_answer("text") });
        let answer = finish(tool, &state, &last, &context(), &outcome);
        assert_eq!(answer["metadata"]["finish_reason"], word);
        assert_eq!(answer["metadata"]["truncated"], truncated);
        assert_eq!(answer.get("warnings").is_some(), truncated);
    }
}

#[test]
fn long_work_is_bounded_and_the_newest_stays() {
    let tool = tool("debug");
    let long = "ä".repeat(MAX_TEXT_BYTES / 2);
    let steps: Vec<_> =
        (1..=6).map(|number| step_arguments(number, true, json!({"findings": long}))).collect();
    let before = state(tool, &steps);
    let last = step(tool, 7, false, json!({"findings": format!("the end {}", &long[..MAX_TEXT_BYTES / 2])}));
    let request = expert(tool, &before, &last);
    let findings = request.parts.iter().find(|part| part.title == "Findings of the agent").unwrap();
    assert!(findings.text.len() < MAX_PART_BYTES + 100);
    assert!(findings.text.starts_with("[3 earlier entries left out]"), "{}", &findings.text[..40]);
    let answer = finish(tool, &before, &last, &context(), &failure());
    let summary = answer["complete_debug"]["work_summary"].as_str().unwrap();
    assert!(summary.len() < MAX_SUMMARY_BYTES + 300, "{}", summary.len());
    assert!(summary.contains("[6 earlier entries left out]\nStep 7: the end"));
}

#[test]
fn what_an_earlier_step_has_chosen_holds_until_a_later_one_says_otherwise() {
    let tool = tool("codereview");
    let chosen =
        json!({"model": "kimi-k3", "thinking_mode": "low", "temperature": 0.5, "relevant_files": ["/a"]});
    let before = state(tool, &[step_arguments(1, true, chosen)]);
    let request = expert(tool, &before, &step(tool, 2, false, json!({"thinking_mode": "high"})));
    assert_eq!(request.model.as_deref(), Some("kimi-k3"));
    assert_eq!((request.temperature, request.thinking), (Some(0.5), Some(Thinking::High)));
    for choice in [json!({"use_assistant_model": false}), json!({"review_validation_type": "internal"})] {
        let before = state(tool, &[step_arguments(1, true, choice)]);
        assert_eq!(answer(tool, &before, &step(tool, 2, false, json!({})))["status"], "local_work_complete");
    }
}
