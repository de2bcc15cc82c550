//! One call of a tool, from its arguments to its answer.

mod access;
mod ask;
mod challenge;
mod chat;
mod clink;
mod context;
mod embed;
mod expert;
mod heard;
mod listmodels;
mod more;
mod once;
mod refused_files;
mod status;
mod steps;
mod threads;
mod work;

pub(crate) use context::Call;
pub(crate) use work::Broken;

use crate::outcome::Outcome;
use crate::workflow::Kind;

/// Does what the tool of the call does.
pub(crate) async fn run(call: &Call) -> Outcome {
    let answered = match (call.spec.kind, call.spec.name.as_str()) {
        (Kind::Workflow | Kind::Consensus | Kind::Notebook, _) => steps::run(call).await,
        (Kind::Simple, _) => chat::run(call).await,
        (Kind::Utility, "listmodels") => Ok(listmodels::run(call).await),
        (Kind::Utility, "status") => status::run(call).await,
        (Kind::Utility, "more") => more::run(call).await,
        (Kind::Utility, "threads") => threads::run(call).await,
        (Kind::Utility, "challenge") => challenge::run(call),
        (Kind::Utility, "clink") => clink::run(call).await,
        (Kind::Utility, other) => unreachable!("BUG: nothing does what {other} does"),
    };
    answered.unwrap_or_else(|error| Outcome::failure(&*error.0))
}
