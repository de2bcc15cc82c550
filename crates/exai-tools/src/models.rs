//! Models behind OpenAI-compatible endpoints: dialects, streams, limits, lists of models.

mod answer;
mod body;
mod candidate;
mod choice;
mod chunk;
mod client;
pub mod dialect;
pub mod error;
mod event_stream;
mod exchange;
pub mod fault;
mod foreign_text;
mod gate;
pub mod limits;
mod listing;
mod lists;
mod refusal;
pub mod request;
#[cfg(test)]
mod samples;
mod thoughts;

use std::ffi::OsString;
use std::sync::Arc;

use exai_config::{Config, Provider};
use exai_net::Proxies;
use futures_util::future::join_all;

pub use candidate::{Candidate, KnownModel, ProviderModel};
pub use choice::{AUTO, CLIENT};
use client::Client;
pub use client::OnProgress;
use error::{CallError, ModelError};
use fault::Fault;
use lists::Lists;
pub use lists::Offer;
use request::{ModelAnswer, ModelRequest};

/// All models of all providers. Costs nothing before it is asked something.
#[derive(Debug)]
pub struct Models {
    vars: Vec<(OsString, OsString)>,
    client: Arc<Client>,
    lists: Lists,
}

impl Models {
    /// `vars` is the environment: `${env:NAME}` and the proxies are looked up there.
    pub fn new(vars: Vec<(OsString, OsString)>) -> Self {
        let client = Arc::new(Client::new(Proxies::for_https_alone(&vars)));
        Models { vars, client, lists: Lists::default() }
    }

    /// What each provider offers, in the order of `config`. The endpoints are asked side by side, at most 3 s, and their
    /// answers are believed for 10 minutes, failures for 30 seconds. `config` holds the secrets.
    pub async fn list(&self, config: &Config) -> Vec<Offer> {
        join_all(config.providers.iter().map(|provider| self.offer(provider, config))).await
    }

    /// The candidates for a name, the best first: `auto`, `client`, the name of a `[models.NAME]` table, PROVIDER/ID, or the
    /// id of a model that one provider lists. Several for `auto` alone.
    pub async fn choose(&self, wanted: &str, config: &Config) -> Result<Vec<Candidate>, ModelError> {
        let wanted = wanted.trim();
        let wanted =
            [AUTO, CLIENT].into_iter().find(|word| word.eq_ignore_ascii_case(wanted)).unwrap_or(wanted);
        let places = choice::providers_for(wanted, config);
        let offers =
            join_all(places.into_iter().map(|place| self.offer(&config.providers[place], config))).await;
        choice::choose(wanted, config, &offers)
    }

    /// Asks a model. Each piece of its answer is given to `on_progress` when it has come. Dropping the returned future ends
    /// the stream at once. A request is made again after failures that cost nothing, at most 3 times, and never once an
    /// answer has begun.
    pub async fn complete(
        &self,
        candidate: &ProviderModel,
        request: &ModelRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<ModelAnswer, ModelError> {
        let ProviderModel { provider, credentials, model } = candidate;
        let credentials = credentials.as_ref().map_err(|why| CallError {
            provider: provider.name.clone(),
            model: model.id.clone(),
            fault: Fault::KeyMissing { why: why.clone() },
            partial: String::new(),
            thought_chars: 0,
            may_have_cost: false,
        })?;
        Ok(self.client.complete(provider, credentials, model, request, on_progress).await?)
    }

    /// Asks the candidates one after the other, until one answers or fails in a way that may have cost something: for `auto`.
    ///
    /// # Errors
    /// The failure that may have cost something, or [`ModelError::AllFailed`].
    pub async fn complete_first(
        &self,
        candidates: &[ProviderModel],
        request: &ModelRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<ModelAnswer, ModelError> {
        let mut failures = Vec::new();
        for candidate in candidates {
            match self.complete(candidate, request, &mut *on_progress).await {
                Err(error) if !error.may_have_cost() && candidates.len() > 1 => failures.push(error),
                answer => return answer,
            }
        }
        Err(if failures.is_empty() { ModelError::NoProvider } else { ModelError::AllFailed { failures } })
    }

    async fn offer(&self, provider: &Provider, config: &Config) -> Offer {
        let credentials = provider.resolve(&self.vars, &config.secrets).map_err(|error| error.to_string());
        self.lists.offer(&self.client, Arc::new(provider.clone()), credentials).await
    }
}
