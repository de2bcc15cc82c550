//! One model is asked for one answer.

use serde_json::Value;
use tokio::sync::watch;

use super::embed::{Asked, Embedding};
use super::work::Worked;
use crate::jobs::Progress;
use crate::models::request::ModelAnswer;
use crate::outcome::Outcome;
use crate::threads::NewTurn;
use crate::workflow::ExpertOutcome;

/// Asks one model. `question` is what the thread keeps of the agent's side; `compose` puts what came of it into words, and is
/// told which files the model saw.
pub(super) async fn ask(
    asked: Asked,
    question: NewTurn,
    progress: watch::Sender<Progress>,
    compose: impl FnOnce(ExpertOutcome, Option<Value>) -> Value,
) -> Worked {
    let Embedding { candidates, request, file_context, files } = match asked.embed().await {
        Ok(embedding) => embedding,
        Err(refused) => return Worked::unpaid(refused, Vec::new()),
    };
    match asked.ask(&candidates, &request, progress).await {
        Ok(model) => {
            let turns = vec![NewTurn { files, ..question }, said_by(asked.tool(), &model)];
            let outcome = Outcome::success(compose(ExpertOutcome::Answered(model), file_context));
            Worked { outcome, turns, paid: 1 }
        }
        Err(error) => {
            let outcome = Outcome::error(compose(ExpertOutcome::Failed(error.failure()), file_context));
            let paid = error.may_have_cost().into();
            Worked { outcome: outcome.with_partial(error.partial()), turns: Vec::new(), paid }
        }
    }
}

/// What a model has said, for the thread.
pub(super) fn said_by(tool: &str, model: &ModelAnswer) -> NewTurn {
    NewTurn::of_assistant(tool, &model.model, &model.provider, model.text.clone())
}
