//! Asks a model: a provider's, or the client's own.

use exai_config::Config;

use crate::client::Client;
use crate::explain::Explain;
use crate::models::error::ModelError;
use crate::models::request::{ModelAnswer, ModelRequest};
use crate::models::{AUTO, Candidate, Models, OnProgress, ProviderModel};
use crate::sampling_error::SamplingError;
use crate::workflow::ExpertFailure;

/// How many tokens a model is taken to have room for if nobody knows it.
const USUAL_CONTEXT: usize = 128_000;

/// Who may answer, the preferred first. There is at least one.
pub(super) async fn choose(
    models: &Models,
    config: &Config,
    client: &Client,
    wanted: Option<&str>,
) -> Result<Vec<Candidate>, ModelError> {
    let wanted = wanted.unwrap_or(AUTO);
    match models.choose(wanted, config).await {
        // Without a provider the client's own model does, if it may be asked.
        Err(ModelError::NoProvider) if wanted.eq_ignore_ascii_case(AUTO) && client.can_sample() => {
            Ok(vec![Candidate::Client])
        }
        Ok(candidates) if candidates.is_empty() => Err(ModelError::NothingOffered { failures: Vec::new() }),
        chosen => chosen,
    }
}

/// How many tokens all candidates have room for.
pub(super) fn context_of(candidates: &[Candidate]) -> usize {
    let known = candidates.iter().map(|candidate| match candidate {
        Candidate::Provider(model) => model.model.context,
        Candidate::Client => None,
    });
    let contexts = known.map(|context| context.map_or(USUAL_CONTEXT, |tokens| tokens as usize));
    contexts.min().unwrap_or(USUAL_CONTEXT)
}

/// The name of the model for messages.
pub(super) fn shown_name(candidates: &[Candidate]) -> String {
    match candidates.first() {
        Some(Candidate::Provider(model)) => model.model.id.clone(),
        Some(Candidate::Client) | None => "the client's model".to_owned(),
    }
}

/// Why no model has answered.
#[derive(Debug)]
pub(super) enum AskError {
    Model(ModelError),
    Sampling(SamplingError),
}

impl AskError {
    /// Whether somebody may have to pay for it.
    pub(super) fn may_have_cost(&self) -> bool {
        match self {
            AskError::Model(error) => error.may_have_cost(),
            AskError::Sampling(error) => {
                matches!(error, SamplingError::TimedOut(_) | SamplingError::Lost(_) | SamplingError::Nonsense)
            }
        }
    }

    /// What had come of the answer.
    pub(super) fn partial(&self) -> &str {
        match self {
            AskError::Model(error) => error.partial(),
            AskError::Sampling(_) => "",
        }
    }

    /// The failure as the answers of the tools tell it.
    pub(super) fn failure(&self) -> ExpertFailure {
        match self {
            AskError::Model(error) => (error as &dyn Explain).into(),
            AskError::Sampling(error) => (error as &dyn Explain).into(),
        }
    }
}

/// Asks the candidates one after the other, until one answers, or fails in a way that may have cost something.
pub(super) async fn ask(
    models: &Models,
    client: &Client,
    candidates: &[Candidate],
    request: &ModelRequest,
    on_progress: OnProgress<'_>,
) -> Result<ModelAnswer, AskError> {
    let mut rest = candidates;
    loop {
        let providers: Vec<ProviderModel> = rest.iter().map_while(provider).cloned().collect();
        rest = &rest[providers.len().max(1).min(rest.len())..];
        let answer = if providers.is_empty() {
            client.sample(request).await.map_err(AskError::Sampling)
        } else {
            models.complete_first(&providers, request, &mut *on_progress).await.map_err(AskError::Model)
        };
        match answer {
            Err(error) if !error.may_have_cost() && !rest.is_empty() => {}
            answer => return answer,
        }
    }
}

fn provider(candidate: &Candidate) -> Option<&ProviderModel> {
    match candidate {
        Candidate::Provider(model) => Some(model),
        Candidate::Client => None,
    }
}
