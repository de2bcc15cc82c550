//! `status`: whether the tools work, and with what.

use serde_json::{Value, json};

use super::context::{Call, CallError};
use super::listmodels;
use crate::outcome::{Outcome, error_object};
use crate::shared::has_tool;
use crate::threads::ThreadStore;
use crate::workflow::{self, Arguments};

pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let arguments = Arguments::parse(call.spec, &call.given)?;
    let threads = call.shared.with_threads(ThreadStore::list_threads).await;
    let threads = match &threads {
        Ok(threads) => json!({"count": threads.len()}),
        Err(error) => json!({"error": error_object(error)}),
    };
    let providers: Vec<Value> = if arguments.flag("probe") == Some(true) {
        call.shared.models.list(&call.config).await.iter().map(listmodels::describe).collect()
    } else {
        let names = call.config.providers.iter();
        names.map(|provider| json!({"name": provider.name, "dialect": provider.dialect.name()})).collect()
    };
    let tools = workflow::specs().iter().filter(|spec| has_tool(&call.config, spec));
    let mut body = json!({
        "status": "success",
        "content": sentence(call, providers.len()),
        "version": env!("CARGO_PKG_VERSION"),
        "running_calls": call.shared.jobs.count(),
        "providers": providers,
        "threads": threads,
        "tools": tools.map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
        "client": call.client.description(),
        "config_trouble": call.shared.settings.trouble(),
    });
    if providers.is_empty() {
        body["next_steps"] = listmodels::HOW_TO_ADD.into();
    }
    Ok(Outcome::success(body))
}

fn sentence(call: &Call, providers: usize) -> String {
    match (providers, call.client.can_sample()) {
        (0, false) => "No model can be asked; planner, status and listmodels work without one.".to_owned(),
        (0, true) => "No provider is configured; the client's own model is asked.".to_owned(),
        (1, _) => "1 provider is configured.".to_owned(),
        (providers, _) => format!("{providers} providers are configured."),
    }
}
