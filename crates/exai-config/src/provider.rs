//! `[providers.NAME]`: an OpenAI-compatible endpoint that the EXAI tools may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

pub use crate::dialect::Dialect;
use crate::expand::{ExpandError, expand};
use crate::fault::{Fault, check_number, check_words};
use crate::limits::{
    CONNECT_TIMEOUT, IDLE_TIMEOUT, LONGEST_TIMEOUT, MAX_CONCURRENCY, TOTAL_TIMEOUT, USUAL_CONCURRENCY,
};
use crate::secret_store::{SecretStore, secrets_in};
use crate::span::{Span, check_span};
use crate::web_address::WebAddress;
use crate::{Secret, server_name};

/// One `[providers.NAME]` table, checked, with the defaults filled in. `key` and `headers` are as they were written;
/// [`Provider::resolve`] gives what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name, which follows the rule for names of servers.
    pub name: String,
    /// Where it is: http or https, without a slash at its end.
    pub base_url: String,
    /// The key of the account there, as it was written.
    pub key: Option<Secret>,
    /// How it differs from other endpoints; `auto` is replaced by what the address says.
    pub dialect: Dialect,
    /// The ids of its models. If this is not empty, no others are used, whatever the endpoint lists.
    pub models: Vec<String>,
    /// Headers of each request, as they were written.
    pub headers: BTreeMap<String, Secret>,
    /// How many requests may be under way. Default 4.
    pub max_concurrency: usize,
    /// How long a connection may take. Default 10 seconds.
    pub connect_timeout: Duration,
    /// How long an answer may pause: no byte for so long ends it. Default 2 minutes.
    pub idle_timeout: Duration,
    /// How long a request may take in all. Default 15 minutes.
    pub total_timeout: Duration,
    /// Members that are left out of a request.
    pub omit: BTreeSet<String>,
    /// Members of a request that have another name here: the usual name, and the name here.
    pub rename: BTreeMap<String, String>,
    /// Members that are added to a request.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
}

/// The key and the headers of a provider, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The key, if it has one.
    pub key: Option<Secret>,
    /// Headers of each request.
    pub headers: Vec<(String, Secret)>,
}

impl Provider {
    /// Resolves the key and the headers with the variables of the environment and the secrets.
    pub fn resolve(
        &self,
        vars: &[(OsString, OsString)],
        secrets: &SecretStore,
    ) -> Result<Credentials, ExpandError> {
        let resolve = |template: &Secret, key: &str| {
            let place = format!("providers.{}.{key}", self.name);
            expand(template.expose(), &place, vars, secrets).map(Secret::new)
        };
        let header = |(name, value): (&String, &Secret)| {
            Ok((name.clone(), resolve(value, &format!("headers.{name}"))?))
        };
        Ok(Credentials {
            key: self.key.as_ref().map(|key| resolve(key, "key")).transpose()?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
        })
    }

    /// The names of the secrets that its key and its headers refer to.
    pub fn find_secrets(&self) -> BTreeSet<String> {
        let templates = self.key.iter().chain(self.headers.values());
        templates.flat_map(|template| secrets_in(template.expose())).map(ToOwned::to_owned).collect()
    }

    /// Whether what is sent there crosses a network unencrypted.
    pub fn is_clear_text(&self) -> bool {
        WebAddress::parse(&self.base_url, "base_url")
            .is_ok_and(|address| address.is_plain && !address.is_loopback())
    }
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    base_url: Option<Spanned<String>>,
    key: Option<Spanned<Secret>>,
    dialect: Option<Spanned<String>>,
    #[serde(default)]
    models: Vec<Spanned<String>>,
    #[serde(default)]
    headers: BTreeMap<Spanned<String>, Secret>,
    max_concurrency: Option<Spanned<i64>>,
    connect_timeout: Option<Spanned<Span>>,
    idle_timeout: Option<Spanned<Span>>,
    total_timeout: Option<Spanned<Span>>,
    #[serde(default)]
    omit: Vec<Spanned<String>>,
    #[serde(default)]
    rename: BTreeMap<Spanned<String>, Spanned<String>>,
    extra_body: Option<Spanned<toml::Table>>,
}

impl Written {
    /// Checks what the types cannot and fills in the defaults. `at` is the place of the name.
    pub(crate) fn check(self, name: String, at: &Range<usize>) -> Result<Provider, Fault> {
        server_name::check(&name)
            .map_err(|error| Fault::new(at.clone(), error.to_string().replace("server", "provider")))?;
        let Some(base_url) = &self.base_url else {
            return Err(Fault::new(at.clone(), "a provider needs a `base_url`"));
        };
        let wrong_url = |sentence: String| Fault::new(base_url.span(), sentence);
        let address = WebAddress::parse(base_url.get_ref(), "base_url").map_err(wrong_url)?;
        if address.path.contains(['?', '#']) {
            return Err(wrong_url("a `base_url` has no query: use `headers` or `extra_body`".to_owned()));
        }
        if address.port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(wrong_url("the port in this `base_url` is no number up to 65535".to_owned()));
        }
        let dialect = match self.dialect.as_ref().filter(|dialect| dialect.get_ref() != "auto") {
            None => Dialect::of(&address),
            Some(word) => Dialect::parse(word.get_ref()).ok_or_else(|| {
                let known = Dialect::ALL.map(Dialect::name).join(", ");
                Fault::new(word.span(), format!("there is no such `dialect`; there are: auto, {known}"))
            })?,
        };
        if let Some(key) = self.key.as_ref().filter(|key| key.get_ref().expose().trim().is_empty()) {
            return Err(Fault::new(key.span(), "`key` is empty"));
        }
        for header in self.headers.keys() {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if header.get_ref().is_empty() || !header.get_ref().bytes().all(fits) {
                return Err(Fault::new(header.span(), "this is no name of a header"));
            }
        }
        let max_concurrency = check_number("max_concurrency", self.max_concurrency, 1..=MAX_CONCURRENCY)?
            .unwrap_or(USUAL_CONCURRENCY);
        let timeout = |key, span: &Option<Spanned<Span>>, usual| {
            check_span(key, span.as_ref(), usual, (LONGEST_TIMEOUT, "24 hours"))
        };
        for member in self.omit.iter().chain(self.rename.keys()).chain(self.rename.values()) {
            refuse_own_member(member.get_ref(), &member.span())?;
        }
        let (renamed, new_names): (Vec<_>, Vec<_>) = self.rename.into_iter().unzip();
        let renamed = check_words("rename", renamed)?;
        let new_names = check_words("rename", new_names)?;
        Ok(Provider {
            name,
            base_url: base_url.get_ref().trim_end_matches('/').to_owned(),
            key: self.key.map(Spanned::into_inner),
            dialect,
            models: check_words("models", self.models)?,
            headers: self.headers.into_iter().map(|(name, value)| (name.into_inner(), value)).collect(),
            max_concurrency: usize::try_from(max_concurrency).unwrap_or(1),
            connect_timeout: timeout("connect_timeout", &self.connect_timeout, CONNECT_TIMEOUT)?,
            idle_timeout: timeout("idle_timeout", &self.idle_timeout, IDLE_TIMEOUT)?,
            total_timeout: timeout("total_timeout", &self.total_timeout, TOTAL_TIMEOUT)?,
            omit: check_words("omit", self.omit)?.into_iter().collect(),
            rename: renamed.into_iter().zip(new_names).collect(),
            extra_body: self.extra_body.map(check_body).transpose()?.unwrap_or_default(),
        })
    }
}

/// Refuses what every request needs and exai itself writes.
fn refuse_own_member(member: &str, at: &Range<usize>) -> Result<(), Fault> {
    if ["model", "messages", "stream"].contains(&member) {
        return Err(Fault::new(
            at.clone(),
            format!("exai itself writes the member `{member}` of each request"),
        ));
    }
    Ok(())
}

fn check_body(body: Spanned<toml::Table>) -> Result<serde_json::Map<String, serde_json::Value>, Fault> {
    let at = body.span();
    body.get_ref().keys().try_for_each(|member| refuse_own_member(member, &at))?;
    to_object(body.into_inner())
        .ok_or_else(|| Fault::new(at, "`extra_body` becomes JSON, which has no dates, no `inf` and no `nan`"))
}

fn to_object(table: toml::Table) -> Option<serde_json::Map<String, serde_json::Value>> {
    table.into_iter().map(|(key, value)| Some((key, to_json(value)?))).collect()
}

fn to_json(value: toml::Value) -> Option<serde_json::Value> {
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(values) => {
            serde_json::Value::Array(values.into_iter().map(to_json).collect::<Option<_>>()?)
        }
        toml::Value::Table(table) => serde_json::Value::Object(to_object(table)?),
    })
}

#[cfg(test)]
mod tests;
