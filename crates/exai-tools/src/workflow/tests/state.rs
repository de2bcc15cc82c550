use proptest::prelude::*;

use super::*;

#[test]
fn the_state_gathers_what_the_steps_say() {
    let tool = tool("debug");
    let state = state(
        tool,
        &[
            step_arguments(
                1,
                true,
                json!({"files_checked": ["/b", "/a"], "hypothesis": "h", "confidence": "low"}),
            ),
            step_arguments(
                2,
                true,
                json!({"files_checked": ["/a", "/c"], "hypothesis": "h", "findings": " "}),
            ),
            step_arguments(3, true, json!({"issues_found": [{"description": "x"}, {"description": "x"}]})),
        ],
    );
    assert_eq!(state.initial_request(), "text of step 1");
    assert_eq!(state.all("files_checked"), ["/b", "/a", "/c"]);
    assert_eq!(state.findings(), [(1, "findings of step 1"), (3, "findings of step 3")]);
    assert_eq!(state.hypotheses(), [(1, "h")]);
    assert_eq!(state.issues().len(), 1);
    assert_eq!(state.confidence(), Confidence::Low);
    assert_eq!(State::default().confidence(), Confidence::Low);
}

#[test]
fn going_back_drops_what_came_after() {
    let tool = tool("debug");
    let mut steps: Vec<_> = (1..=4)
        .map(|number| step_arguments(number, true, json!({"files_checked": [number.to_string()]})))
        .collect();
    steps.push(step_arguments(5, true, json!({"backtrack_from_step": 2, "files_checked": ["5"]})));
    let state = state(tool, &steps);
    assert_eq!(state.all("files_checked"), ["1", "2", "5"]);
}

#[test]
fn a_step_that_cannot_be_read_is_told() {
    let tool = tool("debug");
    let damaged = object(json!({"step": 1}));
    let before = state(tool, &[step_arguments(1, true, json!({})), damaged.clone()]);
    let answer = answer(tool, &before, &step(tool, 2, true, json!({})));
    assert_eq!(
        answer["warnings"],
        json!(["Earlier steps of this thread that cannot be read, and do not count: 1."])
    );
    assert!(state(tool, &[damaged]).steps().is_empty());
}

#[test]
fn what_is_stored_is_read_back() {
    let given =
        step_arguments(2, true, json!({"continuation_id": "t", "confidence": "HIGH", "total_steps": 1}));
    let step = Step::parse(tool("debug"), &given).unwrap();
    assert_eq!(step.continuation_id.as_deref(), Some("t"));
    let again = Step::parse(tool("debug"), step.arguments().as_json()).unwrap();
    assert_eq!(again.arguments(), step.arguments());
    assert_eq!(again.total, 2);
}

/// The arguments of any step that a client may send.
fn any_step() -> impl Strategy<Value = Map<String, Value>> {
    let files = proptest::collection::vec("[a-c]", 0..3);
    let confidence = proptest::sample::select(vec!["exploring", "high", "certain", "nonsense"]);
    (1_u64..6, any::<bool>(), files, confidence, proptest::option::of(1_u64..6)).prop_map(
        |(number, goes_on, files, confidence, back)| {
            step_arguments(
                number,
                goes_on,
                json!({"files_checked": files, "confidence": confidence, "backtrack_from_step": back}),
            )
        },
    )
}

proptest! {
    /// However the steps come, one by one or at once, once or twice in a row: the state is the same, and no answer of a
    /// step panics.
    #[test]
    fn folding_is_stable(steps in proptest::collection::vec(any_step(), 0..12)) {
        let tool = tool("debug");
        let at_once = State::fold(tool, &steps);
        let twice: Vec<_> = steps.iter().flat_map(|step| [step.clone(), step.clone()]).collect();
        let doubled = State::fold(tool, &twice);
        prop_assert_eq!(doubled.steps(), at_once.steps());
        let mut one_by_one = State::default();
        for step in steps.iter().filter_map(|step| Step::parse(tool, step).ok()) {
            let next = one_by_one.with(&step);
            prop_assert!(next.has(&step));
            prop_assert_eq!(&next.with(&step), &next);
            let first = advance(tool, &one_by_one, &step, &context());
            prop_assert_eq!(first, advance(tool, &one_by_one, &step, &context()));
            one_by_one = next;
        }
        prop_assert_eq!(one_by_one.steps(), at_once.steps());
        let kept: Vec<_> = at_once.steps().iter().map(|step| step.arguments().as_json().clone()).collect();
        let folded_again = State::fold(tool, &kept);
        prop_assert_eq!(folded_again.steps().last(), at_once.steps().last());
    }
}
