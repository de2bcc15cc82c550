use super::*;
use crate::explain::Explain;

fn first(models: Value) -> Map<String, Value> {
    step_arguments(
        1,
        true,
        json!({"models": models, "relevant_files": ["/a"], "images": ["/i.png"], "step": "Use Rust?", "findings": "yes"}),
    )
}

fn consultations(models: Value) -> (Step, Vec<Consultation>) {
    let tool = tool("consensus");
    let step = Step::parse(tool, &first(models)).unwrap();
    match advance(tool, &State::default(), &step, &context()) {
        Ok(Next::AskModels(consultations)) => (step, consultations),
        other => panic!("{other:?}"),
    }
}

fn three() -> Value {
    json!([
        {"model": "glm-5", "stance": "for"},
        {"model": "glm-5", "stance": "against", "stance_prompt": "Be harsh."},
        "kimi-k3",
    ])
}

#[test]
fn every_model_is_asked_the_same_with_its_stance() {
    let (_, asked) = consultations(three());
    let names: Vec<(&str, &str)> = asked.iter().map(|asked| (&*asked.model, &*asked.stance)).collect();
    assert_eq!(names, [("glm-5", "for"), ("glm-5", "against"), ("kimi-k3", "neutral")]);
    for consultation in &asked {
        let request = &consultation.request;
        assert_eq!(request.model.as_ref(), Some(&consultation.model));
        assert_eq!(request.text(), "Use Rust?", "the agent's own view sways nobody");
        assert_eq!(
            (&request.files[..], &request.images[..]),
            (&["/a".to_owned()][..], &["/i.png".to_owned()][..])
        );
        assert!(!request.system.contains("{stance}"));
    }
    assert!(asked[0].request.system.contains("You argue in favour"));
    assert!(
        asked[1].request.system.contains("Be harsh.")
            && !asked[1].request.system.contains("You argue against")
    );
    assert!(asked[2].request.system.contains("You take no side"));
}

#[test]
fn the_answers_are_put_together() {
    let tool = tool("consensus");
    let (step, asked) = consultations(three());
    let outcomes = [
        ExpertOutcome::Answered(model_answer("Yes.")),
        failure(),
        ExpertOutcome::Answered(ModelAnswer { finish: Finish::Length, ..model_answer("Per") }),
    ];
    let outcomes: Vec<_> = asked.into_iter().zip(outcomes).collect();
    let answer = checked(tool, combine(tool, &State::default(), &step, &context(), &outcomes));
    assert_eq!(answer["status"], "consensus_workflow_complete");
    assert_eq!(answer["consensus_complete"], true);
    assert_eq!(
        answer["complete_consensus"],
        json!({
            "initial_prompt": "Use Rust?",
            "models_consulted": ["glm-5:for", "glm-5:against", "kimi-k3:neutral"],
            "total_responses": 2,
        })
    );
    assert_eq!(answer["agent_analysis"], json!({"initial_analysis": "Use Rust?", "findings": "yes"}));
    let views = &answer["accumulated_responses"];
    assert_eq!((&views[0]["status"], &views[0]["verdict"]), (&json!("success"), &json!("Yes.")));
    assert_eq!(views[0]["metadata"]["usage"]["output_tokens"], 20);
    assert_eq!(
        (&views[1]["status"], &views[1]["error"]["code"]),
        (&json!("error"), &json!("provider_unreachable"))
    );
    assert_eq!(views[2]["metadata"]["truncated"], true);
    assert!(views[2].get("warnings").is_some());
    assert!(answer["next_steps"].as_str().unwrap().contains("1 of 3 models have not answered"));
}

#[test]
fn a_consensus_of_nobody_is_an_error() {
    let tool = tool("consensus");
    let (step, asked) = consultations(three());
    let outcomes: Vec<_> = asked.into_iter().map(|asked| (asked, failure())).collect();
    let answer = checked(tool, combine(tool, &State::default(), &step, &context(), &outcomes));
    assert_eq!(answer["status"], "error");
    assert_eq!(answer["consensus_complete"], false);
    assert_eq!(answer["error"]["code"], "all_models_failed");
    assert_eq!(answer["accumulated_responses"].as_array().unwrap().len(), 3);
}

#[test]
fn the_old_way_step_by_step_asks_nobody_twice() {
    let tool = tool("consensus");
    let before = state(tool, &[first(three())]);
    for (number, goes_on) in [(2, true), (3, false)] {
        let answer = answer(tool, &before, &step(tool, number, goes_on, json!({"current_model_index": 1})));
        assert_eq!(answer["status"], "consensus_workflow_complete");
        assert_eq!(answer["next_step_required"], false);
        assert_eq!(answer["complete_consensus"]["models_consulted"].as_array().unwrap().len(), 3);
        assert!(answer["next_steps"].as_str().unwrap().contains("asked side by side in step 1"));
    }
}

#[test]
fn the_models_must_fit() {
    let error = |models: Value| {
        let error = Step::parse(tool("consensus"), &first(models)).unwrap_err();
        assert_eq!(error.code(), "invalid_arguments");
        error.to_string()
    };
    let table = [
        (json!([]), "`models` is a list of 0, and must be a list of 1 to 8 models."),
        (json!("glm"), "`models` is \"glm\", and must be a list of at most 8."),
        (
            json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
            "`models` is a list of 9, and must be a list of at most 8.",
        ),
        (
            json!([{"stance": "for"}]),
            "`models[0]` is an object, and must be an object with model, stance and stance_prompt.",
        ),
        (json!([7]), "`models[0]` is 7, and must be an object with model, stance and stance_prompt."),
        (
            json!([{"model": "a", "stance": "maybe"}]),
            "`models[0].stance` is \"maybe\", and must be one of for, against, neutral.",
        ),
        (
            json!([{"model": "a", "stance_prompt": 1}]),
            "`models[0].stance_prompt` is 1, and must be text of at most 65536 bytes.",
        ),
        (
            json!(["a", {"model": "a", "stance": "neutral"}]),
            "`models[1]` is the same model with the same stance as models[0], and must be another model, or have another \
             stance.",
        ),
    ];
    for (models, expected) in table {
        assert_eq!(error(models), expected);
    }
    let step = Step::parse(tool("consensus"), &step_arguments(1, true, json!({}))).unwrap();
    let error = advance(tool("consensus"), &State::default(), &step, &context()).unwrap_err();
    assert!(
        error.to_string().starts_with("`models` is missing: `consensus` needs a list of 1 to 8"),
        "{error}"
    );
}
