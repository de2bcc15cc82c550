//! The file as it is written: every key may be missing, and what is checked knows its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::account::{AccountConfig, Accounts};
use crate::client::{ClientConfig, Clients};
use crate::fault::Fault;
use crate::in_order::InOrder;
use crate::server::{
    Containment, EraChoice, ServerConfig, ServerKind, Servers, Share, StartPolicy, ToolFilter,
    is_authorization,
};
use crate::sign_in::SignInConfig;
use crate::span::Span;
use crate::web_address::{WebProtocol, check_url, find_place};
use crate::{AiSettings, ModelAlias, Provider, Secret, Via, ai, model, provider, server_name};

const DEFAULT_MAX_PROCESSES: u32 = 32;
const DEFAULT_CRASH_LIMIT: u32 = 5;

/// What a person who wrote a path of Windows in double quotes needs to know.
pub(crate) const BACKSLASH_HINT: &str =
    "in double quotes a backslash begins an escape: write paths in single quotes";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) daemon: Daemon,
    servers: InOrder<Server>,
    clients: InOrder<ClientConfig>,
    providers: InOrder<provider::Written>,
    models: InOrder<model::Written>,
    ai: ai::Written,
}

/// What a file says beside the `[daemon]` table, checked.
pub(crate) struct Checked {
    pub(crate) servers: Servers,
    pub(crate) clients: Clients,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<ModelAlias>,
    pub(crate) ai: AiSettings,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Daemon {
    pub(crate) port: Option<Spanned<u16>>,
    pub(crate) allowed_hosts: Vec<Spanned<String>>,
}

/// One `[servers.NAME]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    command: Option<Spanned<String>>,
    args: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    env: BTreeMap<Spanned<String>, Secret>,
    cwd: Option<Spanned<String>>,
    #[serde(default)]
    share: Share,
    #[serde(default)]
    start: StartPolicy,
    idle_stop: Option<Span>,
    start_timeout: Option<Spanned<Span>>,
    call_timeout: Option<Spanned<Span>>,
    #[serde(default)]
    era: EraChoice,
    #[serde(default)]
    bridge: bool,
    trusted: Option<bool>,
    #[serde(default)]
    containment: Containment,
    #[serde(default)]
    tools: ToolFilter,
    max_processes: Option<Spanned<u32>>,
    crash_limit: Option<u32>,
    url: Option<Spanned<String>>,
    via: Option<Spanned<String>>,
    #[serde(rename = "server")]
    name_there: Option<Spanned<String>>,
    remote_command: Option<Spanned<String>>,
    headers: Option<Spanned<BTreeMap<String, Secret>>>,
    sign_in: Option<Spanned<SignInConfig>>,
    #[serde(default)]
    accounts: InOrder<AccountConfig>,
}

impl File {
    /// Checks what the types cannot and fills in the defaults.
    pub(crate) fn check(self) -> Result<Checked, Fault> {
        let mut servers: Vec<(String, ServerConfig)> = Vec::new();
        for (key, server) in self.servers.0 {
            let at = key.span();
            let name = key.into_inner();
            server_name::check(&name)
                .map_err(|error| Fault { at: at.clone(), sentence: error.to_string() })?;
            refuse_twin("server", servers.iter().map(|(other, _)| other), &name, &at)?;
            let server = server.into_inner().check(&name, &at)?;
            refuse_other_sign_in(&servers, &name, &server, &at)?;
            servers.push((name, server));
        }
        let mut clients = Clients::default();
        for (key, client) in self.clients.0 {
            let at = key.span();
            let fault = |sentence| Fault { at, sentence };
            clients.add(key.into_inner(), client.into_inner()).map_err(fault)?;
        }
        let mut providers: Vec<Provider> = Vec::new();
        for (key, provider) in self.providers.0 {
            let provider = provider.into_inner().check(key.get_ref().clone(), &key.span())?;
            let others = providers.iter().map(|other| &other.name);
            refuse_twin("provider", others, &provider.name, &key.span())?;
            providers.push(provider);
        }
        let mut models: Vec<ModelAlias> = Vec::new();
        for (key, model) in self.models.0 {
            let model = model.into_inner().check(key.get_ref().clone(), &key.span())?;
            refuse_twin("model", models.iter().map(|other| &other.name), &model.name, &key.span())?;
            models.push(model);
        }
        Ok(Checked { servers: Servers(servers), clients, providers, models, ai: self.ai.check()? })
    }
}

/// Refuses a name that another one equals but for its case.
fn refuse_twin<'a>(
    kind: &str,
    mut others: impl Iterator<Item = &'a String>,
    name: &str,
    at: &Range<usize>,
) -> Result<(), Fault> {
    let twin = others.find(|other| other.eq_ignore_ascii_case(name));
    twin.map_or(Ok(()), |other| {
        Err(Fault::new(at.clone(), format!("the {kind} names `{other}` and `{name}` differ in case only")))
    })
}

/// Refuses a second way to sign in at one address as one account: there is one sign-in for both servers.
fn refuse_other_sign_in(
    others: &[(String, ServerConfig)],
    name: &str,
    server: &ServerConfig,
    at: &Range<usize>,
) -> Result<(), Fault> {
    let is_at_odds = |other: &ServerConfig| {
        let mut accounts = other.accounts.names();
        let both_have_none = other.accounts.is_empty() && server.accounts.is_empty();
        let at = |url: &Option<String>| url.as_deref().and_then(find_place);
        at(&server.url).is_some_and(|own| at(&other.url) == Some(own))
            && (&other.sign_in, &other.env) != (&server.sign_in, &server.env)
            && (both_have_none || accounts.any(|account| server.accounts.names().any(|own| own == account)))
    };
    let is_remote = |server: &ServerConfig| server.kind() == ServerKind::Remote;
    let twin = others.iter().find(|(_, other)| is_remote(server) && is_remote(other) && is_at_odds(other));
    twin.map_or(Ok(()), |(other, _)| {
        let sentence = format!(
            "the servers `{other}` and `{name}` have one `url`, but different `sign_in` tables or `env`, and one sign-in: give \
             `{name}` an account of its own, as in `[servers.{name}.accounts]`"
        );
        Err(Fault::new(at.clone(), sentence))
    })
}

impl Server {
    /// Checks what the types cannot and fills in the defaults. `at` is the place of the name.
    pub(crate) fn check(mut self, name: &str, at: &Range<usize>) -> Result<ServerConfig, Fault> {
        let fault = |at: Range<usize>, sentence: &str| Err(Fault { at, sentence: sentence.to_owned() });
        if self.command.is_none() && self.url.is_none() && self.via.is_none() {
            return fault(
                at.clone(),
                "a server needs a `command` to run, a `url` to reach, or a `via` that leads to another exai",
            );
        }
        let via = self.check_via(name)?;
        for (key, value) in [("command", &self.command), ("cwd", &self.cwd)] {
            let Some(value) = value else { continue };
            if value.get_ref().trim().is_empty() {
                return fault(value.span(), &format!("`{key}` is empty"));
            }
            if value.get_ref().contains(char::is_control) {
                return fault(value.span(), &format!("`{key}` holds a control character; {BACKSLASH_HINT}"));
            }
        }
        if self.command.is_none() && via.is_none() {
            let misplaced = [
                ("args", self.args.as_ref().map(Spanned::span)),
                ("cwd", self.cwd.as_ref().map(Spanned::span)),
            ];
            for (key, span) in misplaced {
                if let Some(span) = span {
                    return fault(span, &format!("`{key}` is for a server with a `command`"));
                }
            }
        }
        if let Some(headers) = self.headers.as_ref().filter(|_| self.url.is_none()) {
            return fault(headers.span(), "`headers` is for a server with a `url`");
        }
        if let Some(sign_in) = &self.sign_in {
            if self.url.is_none() || self.command.is_some() {
                return fault(sign_in.span(), "`sign_in` is for a server with a `url` that runs elsewhere");
            }
            if let Err(sentence) = sign_in.get_ref().check() {
                return fault(sign_in.span(), sentence);
            }
        }
        if let Some(url) = &self.url
            && let Err(sentence) = check_url(url.get_ref(), self.command.is_some())
        {
            return fault(url.span(), &sentence);
        }
        for name in self.env.keys() {
            if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
                return fault(name.span(), "this is no name of an environment variable");
            }
        }
        for (key, limit) in [("start_timeout", &self.start_timeout), ("call_timeout", &self.call_timeout)] {
            if let Some(limit) = limit.as_ref().filter(|limit| limit.get_ref().0.is_zero()) {
                return fault(limit.span(), &format!("`{key}` must be longer than nothing"));
            }
        }
        if let Some(max) = self.max_processes.as_ref().filter(|max| *max.get_ref() == 0) {
            return fault(max.span(), "`max_processes` must be at least 1");
        }
        let accounts = self.check_accounts()?;
        Ok(ServerConfig { accounts, ..self.with_defaults(via) })
    }

    /// Checks the accounts, and where they are of use.
    fn check_accounts(&mut self) -> Result<Accounts, Fault> {
        let mut accounts = Accounts::default();
        // MCP knows no sign-in on WebSockets.
        let is_web = |url: &Spanned<String>| {
            WebProtocol::split(url.get_ref()).is_some_and(|(protocol, ..)| protocol == WebProtocol::Http)
        };
        let is_elsewhere = self.url.as_ref().is_some_and(is_web) && self.command.is_none();
        let headers = self.headers.as_ref().map(Spanned::get_ref);
        let has_credentials =
            headers.is_some_and(|headers| headers.keys().any(|name| is_authorization(name)));
        for (key, account) in std::mem::take(&mut self.accounts.0) {
            let at = key.span();
            if !is_elsewhere {
                let sentence = "`accounts` is for a server with an http `url` that runs elsewhere";
                return Err(Fault::new(at, sentence.to_owned()));
            }
            if has_credentials {
                let sentence = "a server has `accounts` or the header `Authorization`, not both: the header is one account";
                return Err(Fault::new(at, sentence.to_owned()));
            }
            let added = accounts.add(key.into_inner(), account.into_inner());
            added.map_err(|sentence| Fault::new(at, sentence))?;
        }
        Ok(accounts)
    }

    /// Checks the way to another exai, and what belongs to it.
    fn check_via(&self, name: &str) -> Result<Option<Via>, Fault> {
        let fault = |at: Range<usize>, sentence: String| Fault { at, sentence };
        let Some(written) = &self.via else {
            let misplaced = [("server", &self.name_there), ("remote_command", &self.remote_command)];
            return match misplaced.into_iter().find_map(|(key, text)| Some((key, text.as_ref()?.span()))) {
                Some((key, at)) => Err(fault(at, format!("`{key}` is for a server with a `via`"))),
                None => Ok(None),
            };
        };
        let excluded = [
            ("command", self.command.as_ref().map(Spanned::span)),
            ("url", self.url.as_ref().map(Spanned::span)),
            ("cwd", self.cwd.as_ref().map(Spanned::span)),
        ];
        for (key, at) in excluded {
            if let Some(at) = at {
                let sentence = format!("a server has a `{key}` or a `via`, not both: another exai hosts it");
                return Err(fault(at, sentence));
            }
        }
        let mut via = Via::parse(written.get_ref())
            .and_then(|via| via.with_server(name))
            .map_err(|sentence| fault(written.span(), sentence))?;
        if let Some(server) = &self.name_there {
            via = via.with_server(server.get_ref()).map_err(|sentence| fault(server.span(), sentence))?;
        }
        if let Some(path) = &self.remote_command {
            via = via.with_remote_command(path.get_ref()).map_err(|sentence| fault(path.span(), sentence))?;
        }
        Ok(Some(via))
    }

    fn with_defaults(self, via: Option<Via>) -> ServerConfig {
        let minutes = |span: Option<Span>, default| span.map_or(Duration::from_mins(default), |span| span.0);
        let mut server = ServerConfig {
            command: self.command.map(Spanned::into_inner),
            args: self.args.map(Spanned::into_inner).unwrap_or_default(),
            env: self.env.into_iter().map(|(name, value)| (name.into_inner(), value)).collect(),
            cwd: self.cwd.map(Spanned::into_inner),
            share: self.share,
            start: self.start,
            idle_stop: minutes(self.idle_stop, 15),
            start_timeout: minutes(self.start_timeout.map(Spanned::into_inner), 2),
            call_timeout: minutes(self.call_timeout.map(Spanned::into_inner), 5),
            era: self.era,
            bridge: self.bridge,
            trusted: false,
            containment: self.containment,
            tools: self.tools,
            max_processes: self.max_processes.map_or(DEFAULT_MAX_PROCESSES, Spanned::into_inner),
            crash_limit: DEFAULT_CRASH_LIMIT,
            via,
            url: self.url.map(Spanned::into_inner),
            headers: self.headers.map(Spanned::into_inner).unwrap_or_default(),
            sign_in: self.sign_in.map(Spanned::into_inner).unwrap_or_default(),
            accounts: Accounts::default(),
        };
        server.trusted = self.trusted.unwrap_or(match server.kind() {
            ServerKind::Stdio | ServerKind::Listening => true,
            ServerKind::Remote | ServerKind::Ssh => false,
        });
        server.crash_limit = self.crash_limit.unwrap_or(match server.kind() {
            ServerKind::Stdio | ServerKind::Listening => DEFAULT_CRASH_LIMIT,
            // A lost network or a restart there ends the sessions of all clients at once, and nothing here.
            ServerKind::Remote | ServerKind::Ssh => 0,
        });
        server
    }
}
