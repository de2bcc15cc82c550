//! What is known of a call while it is answered.

use std::sync::Arc;
use std::time::Duration;

use exai_config::Config;
use rmcp::model::{JsonObject, ProgressNotificationParam};
use rmcp::service::{RequestContext, RoleServer};

use super::heard::heard;
use super::work;
use crate::client::Client;
use crate::explain::Explain;
use crate::jobs::{Job, Waited};
use crate::outcome::Outcome;
use crate::patience;
use crate::shared::Shared;
use crate::workflow::Spec;

/// One call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Arc<Config>,
    pub(crate) client: Arc<Client>,
    pub(crate) spec: &'static Spec,
    pub(crate) given: JsonObject,
    pub(crate) context: RequestContext<RoleServer>,
}

impl Call {
    /// How long the client waits for sure.
    pub(super) fn patience(&self) -> Duration {
        patience::of(self.client.name(), self.config.ai.answer_within)
    }

    /// Waits for a job as long as the client does, and tells it how far the job has come.
    pub(super) async fn wait(&self, job: &Job) -> Outcome {
        let token = self.context.meta.get_progress_token();
        #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 characters")]
        let tell = |chars: usize, message: String| {
            let token = token.clone();
            async move {
                let Some(token) = token else { return };
                let progress = ProgressNotificationParam::new(token, chars as f64).with_message(message);
                // A client that is gone hears of nothing.
                let _ = self.context.peer.notify_progress(progress).await;
            }
        };
        match job.wait(self.patience(), &self.context.ct, tell).await {
            Waited::Done(outcome) => heard(&self.shared, job.reference().to_owned(), outcome),
            Waited::StillRunning(progress) => work::running(job.reference(), &progress),
            // Nobody reads this answer.
            Waited::Cancelled => Outcome::failure(&work::Stopped),
        }
    }
}

/// Why a call cannot be answered, whatever part of it says so.
#[derive(Debug)]
pub(crate) struct CallError(pub(super) Box<dyn Explain + Send + Sync>);

impl<E: Explain + Send + Sync + 'static> From<E> for CallError {
    fn from(error: E) -> CallError {
        CallError(Box::new(error))
    }
}
