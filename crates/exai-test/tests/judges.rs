//! The comparing scripts report "equal" only when both sides are equal, and the suite passes only what is right.

mod peers {
    use std::path::Path;
    use std::process::Command;

    use exai_test::peers::Sdk;
    use exai_test::suite::{Bridge, Requirements, Scenarios, judge, judge_client};
    use serde_json::json;

    /// Compares the plain fixture with the fixture started with `switches`.
    fn compare(sdk: Sdk, switches: &[&str]) -> Result<(), String> {
        let dir = std::env::temp_dir().join(format!("exai-judges-{}-{sdk:?}", std::process::id()));
        let server = sdk.server("fixture", &dir);
        let command: Vec<&str> =
            server["command"].as_str().into_iter().chain(switches.iter().copied()).collect();
        let outcome = sdk.compare("fixture", &dir, &json!({"stdio": command}));
        std::fs::remove_dir_all(&dir).unwrap();
        outcome
    }

    #[test]
    fn equal_is_equal() {
        for &sdk in Sdk::ALL {
            compare(sdk, &[]).unwrap();
        }
    }

    #[test]
    fn a_difference_is_shown() {
        for &sdk in Sdk::ALL {
            let difference = compare(sdk, &["--instructions", "something else"]).unwrap_err();
            let mut added = difference.lines().filter(|line| line.starts_with('+'));
            assert!(added.any(|line| line.contains("something else")), "{sdk:?}: {difference}");
        }
    }

    #[test]
    fn the_suite_says_what_is_wrong() {
        let dir = std::env::temp_dir().join(format!("exai-suite-{}", std::process::id()));
        let mut server = Command::new(exai_test::program("suite-server"));
        let bridge = Bridge::start(server.args(["--era", "legacy"]));
        let verdict = judge(bridge.url(), Requirements::Modern, &dir);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(!verdict.is_good());
        assert_eq!(verdict.passed + verdict.failed.len(), Requirements::Modern.count(), "{verdict}");
        assert!(verdict.to_string().contains("sep-2575-server-implements-discover"), "{verdict}");
    }

    /// The suite alone would pass it in `initialize`, where there is nothing to see.
    #[test]
    fn a_client_that_does_nothing_passes_nothing() {
        let dir = std::env::temp_dir().join(format!("exai-suite-client-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let (requirements, scenarios) = (Requirements::Legacy, Scenarios::WithoutSignIn);
        let verdict = judge_client(Path::new("true"), requirements, scenarios, &dir);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(!verdict.is_good());
        assert_eq!((verdict.passed, verdict.failed.len()), (0, scenarios.count(requirements)), "{verdict}");
        let said = verdict.to_string();
        assert!(said.contains("initialize: the suite has seen nothing"), "{said}");
        assert!(said.contains("tools_call: tool-add-numbers"), "{said}");
    }
}
