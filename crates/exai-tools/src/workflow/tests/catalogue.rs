use super::*;
use crate::workflow::spec::ExpertRule;

#[test]
fn the_first_ring_is_complete_and_the_second_too() {
    let names = |ring: Ring| -> Vec<&str> {
        specs().iter().filter(|spec| spec.ring == ring).map(|spec| spec.name.as_str()).collect()
    };
    assert_eq!(
        names(Ring::First),
        [
            "chat",
            "thinkdeep",
            "debug",
            "codereview",
            "analyze",
            "planner",
            "consensus",
            "precommit",
            "listmodels",
            "status",
            "more"
        ]
    );
    assert_eq!(
        names(Ring::Second),
        ["refactor", "testgen", "secaudit", "tracer", "docgen", "challenge", "threads", "clink"]
    );
}

#[test]
fn the_tools_that_can_be_switched_are_those_that_there_are() {
    let names =
        |ring: Ring| specs().iter().filter(move |spec| spec.ring == ring).map(|spec| spec.name.as_str());
    assert!(names(Ring::First).eq(exai_config::ai::TOOLS.into_iter().chain(["more"])));
    assert!(names(Ring::Second).eq(exai_config::ai::EXTRA_TOOLS));
}

#[test]
fn the_names_of_the_old_shim_are_known() {
    for suffix in ["", "_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS"] {
        assert_eq!(canonical_name(&format!("debug{suffix}")), "debug");
        assert_eq!(find(&format!("self-check{suffix}")).unwrap().name, "status");
    }
    assert_eq!(canonical_name("unknown_EXAI-WS"), "unknown");
    assert!(find("unknown").is_none() && find("").is_none() && find("_EXAI-WS").is_none());
}

#[test]
fn every_tool_has_what_its_kind_needs() {
    for spec in specs() {
        let name = &spec.name;
        let asks = matches!(spec.kind, Kind::Simple | Kind::Workflow | Kind::Consensus);
        assert_eq!(spec.asks_model, asks, "{name}");
        assert_eq!(!spec.system.is_empty(), asks, "{name}");
        assert_eq!(spec.expert == ExpertRule::UnlessCertain, spec.kind == Kind::Workflow, "{name}");
        assert!(!(spec.asks_model && spec.idempotent), "{name} costs something each time");
        let mut names: Vec<&str> = spec.fields.iter().map(|field| field.name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{name} has a field twice");
        if spec.kind == Kind::Workflow {
            assert!(!spec.considerations.is_empty(), "{name}");
            for confidence in [Confidence::Exploring, Confidence::Medium, Confidence::Certain] {
                for number in [1, 2] {
                    assert!(!spec.actions.after(number, confidence).is_empty(), "{name}");
                }
            }
        }
        if matches!(spec.kind, Kind::Notebook | Kind::Consensus) {
            assert!(!spec.done.is_empty() || !spec.modes.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_actions_follow_the_confidence() {
    let actions = &tool("debug").actions;
    let after = |number, confidence| actions.after(number, confidence);
    assert_eq!(after(1, Confidence::Certain), after(1, Confidence::Exploring));
    assert_eq!(after(2, Confidence::Low), after(2, Confidence::Exploring));
    assert_eq!(after(2, Confidence::VeryHigh), after(3, Confidence::Medium));
    assert_eq!(after(2, Confidence::Certain), after(2, Confidence::AlmostCertain));
    let different = [after(1, Confidence::Low), after(2, Confidence::Low), after(2, Confidence::High)];
    assert!(different[0] != different[1] && different[1] != different[2]);
}
