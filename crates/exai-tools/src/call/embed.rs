//! From what a tool wants to ask to the request for a model: who answers, with which history, files and images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exai_config::Config;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::Told;
use super::ask::{self, AskError};
use super::context::Call;
use super::refused_files::RefusedFiles;
use crate::client::Client;
use crate::explain::Explain;
use crate::files::{
    Budget, Embedded, Images, Interrupt, Interrupted, Wanted, budget, collect, collect_images,
};
use crate::jobs::Progress;
use crate::models::Candidate;
use crate::models::request::{ModelAnswer, ModelRequest, StreamProgress};
use crate::outcome::Outcome;
use crate::shared::{Shared, blocking};
use crate::threads::Thread;
use crate::threads::history::{self, History};
use crate::tokens;
use crate::workflow::{ExpertRequest, Spec, code_too_large};

/// Files that cannot be read by then are on a disk that does not answer.
const FILES_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer the thread that reads them may take before it is let go.
const READER_GRACE: Duration = Duration::from_secs(5);

/// What a tool wants to ask.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    shared: Arc<Shared>,
    config: Arc<Config>,
    client: Arc<Client>,
    spec: &'static Spec,
    thread: Option<Thread>,
    request: ExpertRequest,
    /// The files that this very call names; others come from earlier steps.
    named: BTreeSet<String>,
}

/// What a model is asked.
#[derive(Debug)]
pub(super) struct Embedding {
    /// Who may answer, the preferred first.
    pub(super) candidates: Vec<Candidate>,
    pub(super) request: ModelRequest,
    /// Which files the model sees and which it does not, for the answer; `None` if there are none.
    pub(super) file_context: Option<Value>,
    /// The files that the model sees.
    pub(super) files: Vec<String>,
}

/// What was read for a model.
#[derive(Debug, Default)]
struct Read {
    files: Embedded,
    images: Images,
}

impl Asked {
    pub(super) fn of(
        call: &Call,
        thread: Option<Thread>,
        request: ExpertRequest,
        named: BTreeSet<String>,
    ) -> Asked {
        Asked {
            shared: call.shared.clone(),
            config: call.config.clone(),
            client: call.client.clone(),
            spec: call.spec,
            thread,
            request,
            named,
        }
    }

    /// The tool that asks.
    pub(super) fn tool(&self) -> &str {
        &self.spec.name
    }

    /// Makes the request for the model. The error is the answer for the client; nothing was paid.
    pub(super) async fn embed(&self) -> Result<Embedding, Outcome> {
        let wanted = self.request.model.as_deref();
        let candidates = ask::choose(&self.shared.models, &self.config, &self.client, wanted).await;
        let candidates = candidates.map_err(|error| Outcome::failure(&error))?;
        let budget = budget(ask::context_of(&candidates));
        let history =
            self.thread.as_ref().map(|thread| history::build(thread, budget.history)).unwrap_or_default();
        let read = self.read(&history, &budget).await.map_err(|error| error.outcome())?;
        let too_large = read.files.too_large.as_ref();
        if let Some(too_large) = too_large.filter(|_| !self.named.is_empty()) {
            let files = read.files.files.len() + read.files.omitted.len();
            let model = ask::shown_name(&candidates);
            let body = code_too_large(self.spec, &model, files, too_large.needed, too_large.budget);
            return Err(Outcome::error(body).with("details", too_large.to_string()));
        }
        let file_context = file_context(&read, &history);
        let files = read.files.files.iter().map(|file| file.path.to_string_lossy().into_owned()).collect();
        let request = self.request.to_model_request(history.messages, &read.files.text, read.images.images);
        let needed = tokens_of(&request);
        if needed > budget.content {
            let error = TooLong { model: ask::shown_name(&candidates), needed, room: budget.content };
            return Err(Outcome::failure(&error));
        }
        Ok(Embedding { candidates, request, file_context, files })
    }

    async fn read(&self, history: &History, budget: &Budget) -> Result<Read, ReadError> {
        let mut paths = self.request.files.clone();
        paths.extend(history.files.iter().filter(|file| !self.request.files.contains(file)).cloned());
        if paths.is_empty() && self.request.images.is_empty() {
            return Ok(Read::default());
        }
        let told = Told::by(&self.client, &self.config, &self.shared).await;
        let (images, room) = (self.request.images.clone(), budget.files);
        let stop = Stop::default();
        let stopped = stop.0.clone();
        let work = blocking(move || {
            let access = told.access();
            let is_cancelled = || stopped.load(Ordering::Relaxed);
            let interrupt =
                Interrupt { is_cancelled: &is_cancelled, deadline: Some(Instant::now() + FILES_TIMEOUT) };
            let wanted =
                Wanted { paths: &paths, budget: room, already: &BTreeMap::new(), line_numbers: false };
            let files = collect(&wanted, &access, &interrupt)?;
            let images = collect_images(&images, &access, &interrupt)?;
            Ok::<Read, Interrupted>(Read { files, images })
        });
        let read = tokio::time::timeout(FILES_TIMEOUT + READER_GRACE, work).await;
        let read = read.unwrap_or(Err(Interrupted::Late)).map_err(ReadError::Interrupted)?;
        drop(stop);
        let is_own = |omitted: &&crate::files::Omitted| {
            omitted.is_named
                && (self.named.contains(&omitted.name) || self.request.images.contains(&omitted.name))
        };
        let refused = read.files.refused().chain(&read.images.omitted).filter(is_own);
        match RefusedFiles::of(refused) {
            Some(refused) => Err(ReadError::Refused(refused)),
            None => Ok(read),
        }
    }

    /// Asks, and says on `progress` how far the answer has come.
    pub(super) async fn ask(
        &self,
        candidates: &[Candidate],
        request: &ModelRequest,
        progress: watch::Sender<Progress>,
    ) -> Result<ModelAnswer, AskError> {
        let (mut chars, model) = (0, ask::shown_name(candidates));
        // Nobody is told of this: the first token is.
        progress.send_if_modified(|shown| {
            shown.has_asked = true;
            shown.model.clone_from(&model);
            false
        });
        let mut note = |now: StreamProgress| {
            let all = now.chars + now.thought_chars;
            progress.send_modify(|shown| {
                shown.chars += all.saturating_sub(chars);
                shown.model.clone_from(&model);
                shown.elapsed = now.elapsed;
                shown.partial.push_str(&now.text);
            });
            chars = all.max(chars);
        };
        ask::ask(&self.shared.models, &self.client, candidates, request, &mut note).await
    }
}

/// The request has more tokens than the model has room for.
#[derive(Debug, thiserror::Error)]
#[error(
    "with the instructions of the tool the request has about {needed} tokens, and {model} has room for {room}"
)]
struct TooLong {
    model: String,
    needed: usize,
    room: usize,
}

impl Explain for TooLong {
    fn code(&self) -> &'static str {
        "context_overflow"
    }

    fn hint(&self) -> Option<String> {
        Some("Choose a model with a larger context (the tool `listmodels` tells them), or say it in fewer words.".into())
    }
}

/// Why nothing was read.
enum ReadError {
    Interrupted(Interrupted),
    Refused(RefusedFiles),
}

impl ReadError {
    fn outcome(&self) -> Outcome {
        match self {
            ReadError::Interrupted(error) => Outcome::failure(error),
            ReadError::Refused(refused) => refused.outcome(),
        }
    }
}

/// Ends the reading of files when the call does not wait for it any more.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn tokens_of(request: &ModelRequest) -> usize {
    let texts = request.messages.iter().map(|message| message.text.as_str()).chain([request.system.as_str()]);
    texts.map(tokens::estimate).sum()
}

fn file_context(read: &Read, history: &History) -> Option<Value> {
    let Read { files, images } = read;
    let omitted = files.omitted.iter().chain(&images.omitted);
    let omitted: Vec<Value> =
        omitted.map(|omitted| json!({"path": omitted.name, "reason": omitted.reason.to_string()})).collect();
    let embedded: Vec<Value> = files
        .files
        .iter()
        .map(|file| json!({"path": file.name, "tokens": file.tokens, "truncated": file.is_truncated}))
        .collect();
    if omitted.is_empty() && embedded.is_empty() && images.images.is_empty() && history.left_out.is_empty() {
        return None;
    }
    Some(json!({
        "type": "embedded",
        "files": embedded,
        "images": images.images.len(),
        "omitted": omitted,
        "more_omitted": files.more_omitted,
        "turns_left_out": history.left_out.len(),
    }))
}
