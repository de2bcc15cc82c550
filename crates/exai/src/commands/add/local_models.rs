//! Looks for model servers on this machine, and offers them as providers of the EXAI tools.

use std::net::SocketAddr;
use std::time::Instant;

use exai_config::provider_edit::{NewProvider, add_provider};
use exai_config::{Dialect, Home, environment};
use serde_json::Value;

use super::super::doctor::aside;
use super::super::{ask, count};
use super::commit::explain;
use super::download::{Fetch, Redirects};
use super::options::Options;
use crate::error::Error;
use crate::limits::{LOCAL_MODELS_TIMEOUT, MAX_ANSWER_BYTES};
use crate::printer::Printer;

/// The model servers that are looked for: how they are called, how their provider is called, and where they are usually.
const KNOWN: [(&str, &str, Dialect, &str); 2] = [
    ("Ollama", "ollama", Dialect::Ollama, "127.0.0.1:11434"),
    ("LM Studio", "lmstudio", Dialect::LmStudio, "127.0.0.1:1234"),
];

/// What a provider with an account looks like.
const EXAMPLE: &str = "[providers.glm]\nbase_url = \"https://api.z.ai/api/paas/v4\"\nkey = \"${secret:GLM}\"";

/// A model server that has answered.
struct LocalModels {
    name: &'static str,
    address: SocketAddr,
    /// How many models it has.
    models: usize,
    provider: NewProvider,
}

/// Where a home without providers may get models.
pub(super) struct Offer {
    found: Vec<LocalModels>,
    /// Whether what was found becomes a provider.
    accepted: bool,
}

/// Shows what is found on this machine, and asks whether to use it. `None` if there are providers already.
pub(super) fn offer(home: &Home, options: &Options, printer: &Printer) -> Result<Option<Offer>, Error> {
    if !exai_config::load(home)?.providers.is_empty() {
        return Ok(None);
    }
    let found = find(addresses()?);
    for local in &found {
        let models = count(local.models, "model");
        printer.line(&format!("{} answers at {} and has {models}:", local.name, local.address))?;
        show_block(&local.provider.block(), printer)?;
    }
    let accepted = !found.is_empty()
        && (options.yes
            || ask::is_possible()
                && ask::confirm_expressly("add this to config.toml, for the EXAI tools?", printer)?);
    Ok(Some(Offer { found, accepted }))
}

impl Offer {
    /// Adds what was accepted, or says what is left to do.
    pub(super) fn settle(&self, home: &Home, printer: &Printer) -> Result<(), Error> {
        if self.accepted {
            for LocalModels { name, provider, .. } in &self.found {
                add_provider(home, provider).map_err(explain)?;
                printer.line(&format!("added the provider {} ({name})", provider.name))?;
            }
            return Ok(());
        }
        if !self.found.is_empty() {
            return printer.line(
                "the EXAI tools need a provider to ask a model: put what is above into config.toml, or let \
                 `exai add --tools --force --yes` do that",
            );
        }
        printer.line(
            "no provider of models is configured, and most of the EXAI tools ask one: put a block like this into config.toml, \
             and keep its key with `exai secret set GLM` (docs/tools.md has the others)",
        )?;
        show_block(EXAMPLE, printer)
    }
}

fn show_block(block: &str, printer: &Printer) -> Result<(), Error> {
    block.lines().try_for_each(|line| printer.line(&format!("  {line}")))
}

/// Where the known model servers may be.
fn addresses() -> Result<[SocketAddr; 2], Error> {
    let usual = KNOWN.map(|(.., address)| address).join(",");
    let given = environment::LOCAL_MODELS.get().map(|given| given.to_string_lossy().into_owned());
    let wrong = || {
        let name = environment::LOCAL_MODELS.name;
        Error::usage(format!("{name} is two addresses of this machine, as in {usual}"))
    };
    let parse =
        |text: &str| text.trim().parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
    let (ollama, lmstudio) = given.as_deref().unwrap_or(&usual).split_once(',').ok_or_else(wrong)?;
    Ok([parse(ollama).ok_or_else(wrong)?, parse(lmstudio).ok_or_else(wrong)?])
}

/// Asks all at once, in one span of time.
fn find(addresses: [SocketAddr; 2]) -> Vec<LocalModels> {
    let deadline = Instant::now() + LOCAL_MODELS_TIMEOUT;
    let asked = addresses.map(|address| aside(move || count_models(address)));
    let answers = asked.map(|answer| {
        let left = deadline.saturating_duration_since(Instant::now());
        answer.recv_timeout(left).ok().flatten()
    });
    let all = KNOWN.into_iter().zip(addresses).zip(answers);
    all.filter_map(|(((name, provider, dialect, usual), address), models)| {
        let provider = NewProvider {
            name: provider.to_owned(),
            base_url: format!("http://{address}/v1"),
            dialect: (address.to_string() != usual).then_some(dialect),
        };
        Some(LocalModels { name, address, models: models?, provider })
    })
    .collect()
}

/// How many models are listed there. `None` unless the answer is the list of an OpenAI-compatible endpoint.
fn count_models(address: SocketAddr) -> Option<usize> {
    let fetch = Fetch {
        timeout: LOCAL_MODELS_TIMEOUT,
        max_bytes: MAX_ANSWER_BYTES,
        redirects: Redirects::SameOrigin,
    };
    let answer =
        fetch.get(&format!("http://{address}/v1/models")).ok().filter(|answer| answer.status == 200)?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    match &document["data"] {
        Value::Array(models) => Some(models.len()),
        // As Ollama says it if it has none.
        Value::Null if document["object"] == "list" => Some(0),
        _ => None,
    }
}
