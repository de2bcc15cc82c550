//! The check of the providers of the EXAI tools.

use super::{finds, stopped};
use crate::support::text;

#[test]
fn keys_that_are_missing_and_keys_in_clear_text_are_named_and_no_key_is_shown() {
    let instance = stopped();
    finds(&instance, "providers", "skip", &["no provider of models is configured"]);
    let write = |text: &str| std::fs::write(instance.home().join("config.toml"), text).expect("config.toml");
    let good = "[providers.good]\nbase_url = \"https://192.0.2.1/v1\"\nkey = \"h1dden\"\n\
                [providers.local]\nbase_url = \"http://127.0.0.1:1/v1\"\n";
    write(good);
    finds(&instance, "providers", "pass", &["2 providers"]);

    write(&format!(
        "{good}[providers.glm]\nbase_url = \"https://192.0.2.1/v4\"\nkey = \"${{secret:GLM}}\"\n"
    ));
    let words =
        ["provider \"glm\"", "the secret GLM is not kept", "providers.glm.key", "exai secret set GLM"];
    finds(&instance, "providers", "fail", &words);

    let unset = "headers = { X = \"${env:EXAI_TEST_UNSET}\" }";
    write(&format!("{good}[providers.x]\nbase_url = \"https://192.0.2.1/v4\"\n{unset}\n"));
    let document = instance.exai(&["doctor", "--json"]);
    assert!(text(&document.stdout).contains("set the variable EXAI_TEST_UNSET"), "{document:?}");

    write(&format!(
        "{good}[providers.far]\nbase_url = \"http://192.0.2.1/v1\"\nkey = \"h1dden\"\n\
         [models.lost]\nprovider = \"gone\"\nid = \"x\"\n"
    ));
    let words =
        ["provider \"far\"", "in clear text", "model \"lost\": there is no provider \"gone\"", "config.toml"];
    let found = finds(&instance, "providers", "warn", &words);
    assert!(!found.to_string().contains("h1dden"), "{found}");
}
