//! The providers of the EXAI tools, without asking one of them: their keys, and what crosses a network in clear text.

use exai_config::Config;
use exai_config::expand::ExpandError;
use exai_config::secret_store::SecretStore;
use exai_os::platform_hints::WHERE_VARIABLES_ARE_SET;

use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use super::setup::variables;
use crate::commands::count;

pub(super) fn providers(scene: &Scene) -> CheckOutcome {
    let Ok(config) = &scene.config else {
        return CheckOutcome::skip("config.toml cannot be read; see `config`");
    };
    if config.providers.is_empty() && config.models.is_empty() {
        return CheckOutcome::skip("no provider of models is configured (docs/tools.md says how)");
    }
    let (vars, note) = variables();
    let secrets = match SecretStore::load(&scene.home) {
        Ok(secrets) => secrets,
        Err(error) => return CheckOutcome::fail(error.to_string()).fix("correct that file"),
    };
    let (mut faults, mut fixes) = (Vec::new(), Vec::new());
    let mut only_variables = true;
    for provider in &config.providers {
        let Err(error) = provider.resolve(&vars, &secrets) else { continue };
        let fix = match &error {
            ExpandError::UnknownSecret { name, .. } => {
                only_variables = false;
                format!("exai secret set {name}")
            }
            ExpandError::Unset { name, .. } | ExpandError::NotText { name, .. } => {
                format!("set the variable {name} {WHERE_VARIABLES_ARE_SET}")
            }
            ExpandError::ClientCwdNotAvailable { .. } => {
                only_variables = false;
                "take it out of config.toml".to_owned()
            }
        };
        faults.push(format!("provider \"{}\": {}", provider.name, describe(&error)));
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let mistakes = find_mistakes(config);
    if faults.is_empty() && mistakes.is_empty() {
        let what = count(config.providers.len(), "provider");
        return CheckOutcome::pass(format!("{what}, each with all that its key and headers name"));
    }
    let broken = !faults.is_empty();
    faults.extend(mistakes);
    let detail = listed(&faults);
    if !broken {
        return CheckOutcome::warn(detail).fix("change it in config.toml");
    }
    let fix = fixes.join("; ");
    match note {
        // The variable may be set where the servers run.
        Some(note) if only_variables => CheckOutcome::warn(format!("{detail} ({note})")).fix(fix),
        _ => CheckOutcome::fail(detail).fix(fix),
    }
}

/// What is missing, without the command that mends it: that is the fix of the check.
fn describe(error: &ExpandError) -> String {
    match error {
        ExpandError::UnknownSecret { name, place } => {
            format!("the secret {name} is not kept (used in {place})")
        }
        other => other.to_string(),
    }
}

/// What works and is probably not meant.
fn find_mistakes(config: &Config) -> Vec<String> {
    let clear = config.providers.iter().filter(|provider| provider.is_clear_text()).map(|provider| {
        format!(
            "provider \"{}\": its key and all that is asked cross the network in clear text, since `base_url` begins with http://",
            provider.name
        )
    });
    let lost = config.models.iter().filter(|model| config.find_provider(&model.provider).is_none());
    let lost =
        lost.map(|model| format!("model \"{}\": there is no provider \"{}\"", model.name, model.provider));
    clear.chain(lost).collect()
}
