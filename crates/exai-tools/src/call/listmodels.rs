//! `listmodels`: which models can be asked, and how each is named.

use serde_json::{Value, json};

use super::context::Call;
use crate::models::{KnownModel, Offer};
use crate::outcome::Outcome;

/// How many models of one provider an answer lists.
const MAX_LISTED: usize = 100;

pub(super) async fn run(call: &Call) -> Outcome {
    let offers = call.shared.models.list(&call.config).await;
    let aliases = call.config.models.iter();
    let aliases: Vec<Value> = aliases
        .map(|alias| json!({"name": alias.name, "means": format!("{}/{}", alias.provider, alias.id)}))
        .collect();
    let mut body = json!({
        "status": "success",
        "content": sentence(call, &offers),
        "providers": offers.iter().map(describe).collect::<Vec<_>>(),
        "names": aliases,
        "auto": call.config.ai.models,
        "client": call.client.can_sample(),
    });
    if offers.is_empty() {
        body["next_steps"] = HOW_TO_ADD.into();
    }
    Outcome::success(body)
}

/// What to do where there is no model at all.
pub(super) const HOW_TO_ADD: &str = "Add a provider: `exai add --tools --force` finds Ollama and LM Studio on this machine, \
                                     or write [providers.NAME] with `base_url` and `key` into config.toml.";

fn sentence(call: &Call, offers: &[Offer]) -> String {
    let models: usize = offers.iter().map(|offer| offer.models.len()).sum();
    let client =
        if call.client.can_sample() { "; model \"client\" asks this client's own model" } else { "" };
    match offers.len() {
        0 => format!("No provider is configured{client}."),
        1 => format!("1 provider; models: {models}{client}."),
        providers => format!("{providers} providers; models: {models}{client}."),
    }
}

/// A provider and its models.
pub(super) fn describe(offer: &Offer) -> Value {
    let mut body = json!({
        "name": offer.provider.name,
        "dialect": offer.provider.dialect.name(),
        "models": offer.models.iter().take(MAX_LISTED).map(model).collect::<Vec<_>>(),
        "count": offer.models.len(),
    });
    if let Err(why) = &offer.credentials {
        body["error"] = why.as_str().into();
    } else if let Some(failure) = &offer.failure {
        body["error"] = failure.to_string().into();
    }
    body
}

fn model(model: &KnownModel) -> Value {
    let mut body = json!({"id": model.id});
    let facts = [("context", model.context), ("max_output", model.max_output)];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            body[name] = fact.into();
        }
    }
    if let Some(vision) = model.vision {
        body["vision"] = vision.into();
    }
    body
}
