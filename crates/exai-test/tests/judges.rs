//! The comparing scripts report "equal" only when both sides are equal.

mod peers {
    use exai_test::peers::Sdk;
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
}
