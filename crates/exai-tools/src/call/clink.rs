//! `clink`: the command line of another agent.

use std::path::PathBuf;

use serde_json::json;

use super::access::Told;
use super::context::{Call, CallError};
use super::once::{self, Once};
use super::threads;
use super::work::Worked;
use crate::clink::{self, Agent, ClinkError};
use crate::files::Source;
use crate::outcome::Outcome;
use crate::shared::blocking;
use crate::threads::NewTurn;
use crate::workflow::Arguments;

pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let spec = call.spec;
    let arguments = Arguments::parse(spec, &call.given)?;
    let prompt = arguments.text("prompt").unwrap_or_default().to_owned();
    let agent = arguments.text("cli_name").and_then(Agent::named).expect("BUG: the specs name another agent");
    let directory = directory_of(call).await.ok_or(ClinkError::NoDirectory)?;
    let continued = threads::continued(call, arguments.text("continuation_id")).await?;
    let once = Once::of(call, continued.as_ref(), None, arguments.as_json(), &prompt).await?.asking(1);
    let files: Vec<&str> = arguments.texts("absolute_file_paths").collect();
    let task = clink::task(arguments.text("role"), &prompt, &files, continued.as_ref());
    let id = once.thread.clone();
    once::make(call, &once, |_| async move {
        match clink::run(agent, &task, &directory).await {
            Ok(report) => {
                let said = NewTurn::of_assistant(&spec.name, agent.program(), "clink", report.text.clone());
                let body = json!({
                    "status": "success",
                    "content": report.text,
                    "content_type": "markdown",
                    "continuation_id": id,
                    "metadata": {"tool_name": spec.name, "cli_name": agent.program(), "usage": report.usage},
                });
                Worked {
                    outcome: Outcome::success(body),
                    turns: vec![NewTurn::of_user(&spec.name, prompt), said],
                    paid: 1,
                }
            }
            Err(error) => {
                let paid = error.may_have_cost().into();
                Worked { outcome: Outcome::failure(&error), turns: Vec::new(), paid }
            }
        }
    })
    .await
}

/// The directory that the client works in: its first root, or where it has started its shim.
async fn directory_of(call: &Call) -> Option<PathBuf> {
    let told = Told::by(&call.client, &call.config, &call.shared).await;
    let access = blocking(move || told.access()).await;
    let mut of_client =
        access.directories().iter().filter(|directory| directory.source != Source::Configuration);
    Some(of_client.next()?.real.clone())
}
