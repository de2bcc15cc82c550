//! The lists of models of all providers: asked for side by side, and believed for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Provider;
use exai_config::provider::Credentials;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::candidate::KnownModel;
use super::client::Client;
use super::error::CallError;
use super::fault::Fault;
use super::limits::{FAILURE_LIFE, LIST_LIFE, LIST_TIMEOUT, MAX_KNOWN_PROVIDERS};
use super::listing::{add_details, detail_address, read_list};

/// What one provider offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Its key and headers, or why they are not known.
    pub credentials: Result<Credentials, String>,
    /// Its models: those of `models` in `config.toml` where there are any, else those that the endpoint lists. Those in
    /// memory come first.
    pub models: Vec<KnownModel>,
    /// Why the endpoint has told nothing.
    pub failure: Option<CallError>,
}

/// What an endpoint says, now or soon.
type Answer = Shared<BoxFuture<'static, Result<Arc<Vec<KnownModel>>, CallError>>>;

/// The lists of all providers.
#[derive(Debug, Default)]
pub(super) struct Lists {
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    asked: Asked,
    since: Instant,
    answer: Answer,
}

/// What was asked, and with what: another key may see other models.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    base_url: String,
    credentials: Result<Credentials, String>,
}

impl Kept {
    /// How long the answer is believed. One that is under way when nobody waits for it any more is not waited for for ever.
    fn life(&self) -> Duration {
        match self.answer.peek() {
            Some(Ok(_)) => LIST_LIFE,
            Some(Err(_)) => FAILURE_LIFE,
            None => LIST_TIMEOUT * 2,
        }
    }
}

impl Lists {
    /// What a provider offers. Callers at the same time ask the endpoint once.
    pub(super) async fn offer(
        &self,
        client: &Arc<Client>,
        provider: Arc<Provider>,
        credentials: Result<Credentials, String>,
    ) -> Offer {
        let answer = self.answer(client, &provider, &credentials);
        let (listed, failure) = match answer.await {
            Ok(listed) => (listed, None),
            Err(error) => (Arc::default(), Some(error)),
        };
        let models = if provider.models.is_empty() {
            listed.to_vec()
        } else {
            let known = |id: &String| listed.iter().find(|listed| listed.id == *id);
            let named = |id: &String| KnownModel::new(id).or(known(id).unwrap_or(&KnownModel::default()));
            provider.models.iter().map(named).collect()
        };
        Offer { provider, credentials, models, failure }
    }

    fn answer(
        &self,
        client: &Arc<Client>,
        provider: &Arc<Provider>,
        credentials: &Result<Credentials, String>,
    ) -> Answer {
        let asked = Asked { base_url: provider.base_url.clone(), credentials: credentials.clone() };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&provider.name)
            && known.asked == asked
            && known.since.elapsed() < known.life()
        {
            return known.answer.clone();
        }
        if kept.len() >= MAX_KNOWN_PROVIDERS {
            kept.retain(|_, known| known.since.elapsed() < known.life());
        }
        let answer = ask(Arc::clone(client), Arc::clone(provider), credentials.clone()).boxed().shared();
        let new = Kept { asked, since: Instant::now(), answer: answer.clone() };
        kept.insert(provider.name.clone(), new);
        answer
    }
}

async fn ask(
    client: Arc<Client>,
    provider: Arc<Provider>,
    credentials: Result<Credentials, String>,
) -> Result<Arc<Vec<KnownModel>>, CallError> {
    let failed = |fault| CallError {
        provider: provider.name.clone(),
        model: String::new(),
        fault,
        partial: String::new(),
        thought_chars: 0,
        may_have_cost: false,
    };
    let credentials = credentials.map_err(|why| failed(Fault::KeyMissing { why }))?;
    let listing = client.get(&provider, &provider.base_url, "/models", &credentials);
    let detailing = async {
        match detail_address(&provider) {
            Some((base_url, path)) => client.get(&provider, base_url, path, &credentials).await.ok(),
            None => None,
        }
    };
    let (list, details) = tokio::join!(listing, detailing);
    let list = list.map_err(failed)?;
    let nonsense = || Fault::Nonsense { what: "JSON of another kind", line: String::new() };
    let mut models = read_list(&list).ok_or_else(|| failed(nonsense()))?;
    if let Some(details) = details {
        add_details(provider.dialect, &mut models, &details);
    }
    Ok(Arc::new(models))
}
