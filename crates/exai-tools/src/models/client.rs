//! Requests to providers over HTTP: within their bounds, made again where that costs nothing, ended when nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_config::Provider;
use exai_config::provider::Credentials;
use exai_net::{Connector, Proxies, Security, Tls, TlsUnavailable};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;

use super::answer::{AnswerReader, News, Whole};
use super::body::body_of;
use super::candidate::KnownModel;
use super::error::CallError;
use super::exchange::{Outgoing, Sent, exchange};
use super::fault::{Fault, WEB_PAGE, Wait};
use super::foreign_text::Cleaner;
use super::gate::Gate;
use super::limits::{
    FIRST_RETRY_WAIT, LIST_TIMEOUT, LONGEST_RETRY_AFTER, MAX_KNOWN_PROVIDERS, MAX_LIST_BYTES, MAX_RETRIES,
};
use super::request::{ModelAnswer, ModelRequest, StreamProgress};

type Http = legacy::Client<Connector, Full<Bytes>>;

/// The client of all providers. Connects to none before it is asked something.
#[derive(Debug)]
pub(super) struct Client {
    proxies: Proxies,
    endpoints: Mutex<HashMap<String, Endpoint>>,
}

/// What is kept for one provider.
#[derive(Debug, Clone)]
struct Endpoint {
    gate: Arc<Gate>,
    http: Http,
    /// What `http` was made for.
    made_for: (bool, Duration),
}

/// What a call knows at its end, however it ends.
struct State {
    reader: AnswerReader,
    sent: Sent,
    /// When it got its place.
    since: Instant,
}

/// Hears how far a stream has come.
pub type OnProgress<'a> = &'a mut (dyn FnMut(StreamProgress) + Send);

impl Client {
    pub(super) fn new(proxies: Proxies) -> Self {
        Client { proxies, endpoints: Mutex::default() }
    }

    /// Asks a model, and gives each piece of its answer to `on_progress` as soon as it is there. When the returned future is
    /// dropped, the connection is closed, and with it the stream ends.
    pub(super) async fn complete(
        &self,
        provider: &Provider,
        credentials: &Credentials,
        model: &KnownModel,
        request: &ModelRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<ModelAnswer, CallError> {
        let cleaner = cleaner_of(credentials);
        let mut state = State {
            reader: AnswerReader::new(cleaner.clone()),
            sent: Sent::default(),
            since: Instant::now(),
        };
        let asked = self.ask(provider, credentials, model, request, &cleaner, &mut state, on_progress).await;
        let whole = asked.map_err(|fault| CallError {
            provider: provider.name.clone(),
            model: model.id.clone(),
            may_have_cost: state.sent.is_sent && !matches!(fault, Fault::Nonsense { what: WEB_PAGE, .. }),
            fault,
            partial: std::mem::take(&mut state.reader.text),
            thought_chars: state.reader.thought_chars,
        })?;
        Ok(ModelAnswer {
            text: whole.text,
            model: whole.model.unwrap_or_else(|| model.id.clone()),
            provider: provider.name.clone(),
            finish: whole.finish,
            usage: whole.usage,
            elapsed: state.since.elapsed(),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one call site")]
    async fn ask(
        &self,
        provider: &Provider,
        credentials: &Credentials,
        model: &KnownModel,
        request: &ModelRequest,
        cleaner: &Cleaner,
        state: &mut State,
        on_progress: OnProgress<'_>,
    ) -> Result<Whole, Fault> {
        let body = serde_json::Value::Object(body_of(provider, model, request)).to_string();
        let outgoing =
            Outgoing::new(&provider.base_url, "/chat/completions", credentials, Some(body.into()))?;
        let endpoint = self.endpoint(provider)?;
        let entering = endpoint.gate.enter(provider.total_timeout);
        let _place = entering.await.map_err(|after| Fault::NoTurn { after })?;
        state.since = Instant::now();
        let start = state.since;
        let answering = async {
            let response =
                open(&endpoint.http, &outgoing, provider.idle_timeout, cleaner, &mut state.sent).await?;
            let tell = |reader: &AnswerReader, news: News| {
                if news.is_any {
                    on_progress(StreamProgress {
                        text: news.text,
                        chars: reader.chars,
                        thought_chars: reader.thought_chars,
                        elapsed: start.elapsed(),
                    });
                }
            };
            read(response.into_body(), provider.idle_timeout, &mut state.reader, tell).await
        };
        match tokio::time::timeout(provider.total_timeout, answering).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::TimedOut { wait: Wait::Whole, after: provider.total_timeout }),
        }
    }

    /// Fetches a JSON document of at most [`MAX_LIST_BYTES`] within [`LIST_TIMEOUT`]; `path` follows `base_url`.
    pub(super) async fn get(
        &self,
        provider: &Provider,
        base_url: &str,
        path: &str,
        credentials: &Credentials,
    ) -> Result<serde_json::Value, Fault> {
        let cleaner = cleaner_of(credentials);
        let outgoing = Outgoing::new(base_url, path, credentials, None)?;
        let endpoint = self.endpoint(provider)?;
        let fetching = async {
            let response =
                exchange(&endpoint.http, &outgoing, LIST_TIMEOUT * 2, &cleaner, &mut Sent::default()).await?;
            let mut body = response.into_body();
            let mut bytes = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Fault::Cut { why: cleaner.clean(&error.to_string()) })?;
                bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                if bytes.len() > MAX_LIST_BYTES {
                    return Err(Fault::TooLong { what: "the list of models", max_bytes: MAX_LIST_BYTES });
                }
            }
            serde_json::from_slice(&bytes).map_err(|_| cleaner.nonsense(&bytes))
        };
        match tokio::time::timeout(LIST_TIMEOUT, fetching).await {
            Ok(list) => list,
            Err(_) => Err(Fault::TimedOut { wait: Wait::Whole, after: LIST_TIMEOUT }),
        }
    }

    /// What is kept for a provider, made where it is missing or its configuration has changed.
    fn endpoint(&self, provider: &Provider) -> Result<Endpoint, Fault> {
        let is_https = provider.base_url.starts_with("https:");
        let made_for = (is_https, provider.connect_timeout);
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let known = endpoints.get(&provider.name);
        if let Some(known) = known.filter(|known| known.made_for == made_for) {
            known.gate.resize(provider.max_concurrency);
            return Ok(known.clone());
        }
        let security = if is_https {
            let unavailable = |error: TlsUnavailable| Fault::Misconfigured { why: error.to_string() };
            Security::Http1(Tls::with_system_roots().map_err(unavailable)?)
        } else {
            Security::Plain
        };
        let connector = Connector::new(security, provider.connect_timeout, self.proxies.clone());
        // No connection is used again: servers close theirs at any time, and of a request that meets such an end nobody knows
        // whether it has cost something. A new connection takes little next to an answer.
        let http = legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let gate = known.map_or_else(|| Gate::new(provider.max_concurrency), |known| Arc::clone(&known.gate));
        gate.resize(provider.max_concurrency);
        let endpoint = Endpoint { gate, http, made_for };
        if endpoints.len() >= MAX_KNOWN_PROVIDERS {
            // Names that are no longer in use, after many changes of the configuration.
            endpoints.retain(|_, kept| Arc::strong_count(&kept.gate) > 1);
        }
        endpoints.insert(provider.name.clone(), endpoint.clone());
        Ok(endpoint)
    }
}

fn cleaner_of(credentials: &Credentials) -> Cleaner {
    let headers = credentials.headers.iter().map(|(_, value)| value);
    Cleaner::new(credentials.key.iter().chain(headers).cloned())
}

/// Sends the request until the head of an answer comes, or until it is not worth a retry.
async fn open(
    http: &Http,
    outgoing: &Outgoing,
    idle: Duration,
    cleaner: &Cleaner,
    sent: &mut Sent,
) -> Result<hyper::Response<Incoming>, Fault> {
    for retry in 0.. {
        let fault = match exchange(http, outgoing, idle, cleaner, sent).await {
            Ok(response) => return Ok(response),
            Err(fault) => fault,
        };
        let wait = wait_before(retry, &fault).filter(|_| !sent.is_sent && fault.is_worth_a_retry());
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(fault),
        }
    }
    unreachable!("BUG: the number of retries has a bound")
}

/// How long to wait before a retry; `None` if there is to be none.
fn wait_before(retry: u32, fault: &Fault) -> Option<Duration> {
    if retry >= MAX_RETRIES {
        return None;
    }
    let mut random = [0];
    // Without randomness the wait is only more regular.
    let _ = getrandom::fill(&mut random);
    let part = 0.5 + f64::from(random[0]) / 512.0;
    let usual = (FIRST_RETRY_WAIT * 2_u32.pow(retry)).mul_f64(part);
    match fault {
        Fault::RateLimited { retry_after: Some(wanted), .. } => {
            (*wanted <= LONGEST_RETRY_AFTER).then(|| *wanted + usual / 10)
        }
        _ => Some(usual),
    }
}

/// Reads the body of an answer to its end, and tells what is new with each piece.
async fn read(
    mut body: Incoming,
    idle: Duration,
    reader: &mut AnswerReader,
    mut tell: impl FnMut(&AnswerReader, News),
) -> Result<Whole, Fault> {
    let broken = loop {
        let silence = |_| Fault::TimedOut { wait: Wait::Silence, after: idle };
        let frame = match tokio::time::timeout(idle, body.frame()).await.map_err(silence)? {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => break Some(error.to_string()),
            None => break None,
        };
        let Some(data) = frame.data_ref() else { continue };
        let news = reader.push(data)?;
        let is_over = news.is_over;
        tell(reader, news);
        if is_over {
            break None;
        }
    };
    let mut news = News::default();
    let finished = reader.finish(broken, &mut news);
    tell(reader, news);
    finished
}
