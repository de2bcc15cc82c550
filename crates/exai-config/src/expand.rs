//! `${…}` in the texts of a server, resolved when it is started.
//!
//! `${env:NAME}` is a variable of the daemon's environment, `${secret:NAME}` a secret of `secrets.toml`. `${client.cwd}`
//! is known and not yet available. Any other `$` is a dollar sign.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;

use exai_os::account::find_variable;

use crate::secret_store::{SecretStore, secrets_in};
pub use crate::server::CLIENT_CWD;
use crate::{Secret, ServerConfig, SignInConfig};

/// Why a text cannot be resolved. It names the variable, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// No such variable.
    #[error("the environment variable {name} is not set (used in {place})")]
    Unset {
        /// Its name.
        name: String,
        /// The key that uses it.
        place: String,
    },
    /// A value that is no text.
    #[error("the environment variable {name} is not UTF-8 text (used in {place})")]
    NotText {
        /// Its name.
        name: String,
        /// The key that uses it.
        place: String,
    },
    /// No such secret.
    #[error("the secret {name} is not kept (used in {place}); `exai secret set {name}` asks for it")]
    UnknownSecret {
        /// Its name.
        name: String,
        /// The key that uses it.
        place: String,
    },
    /// Servers per project come with a later version.
    #[error("{CLIENT_CWD} is not yet available (used in {place})")]
    ClientCwdNotAvailable {
        /// The key that uses it.
        place: String,
    },
}

/// The texts of a server with every `${…}` resolved. Any of them may hold a secret now.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The program.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables on top of the daemon's environment.
    pub env: Vec<(String, Secret)>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Where it is reached.
    pub url: Option<String>,
    /// Headers of each request.
    pub headers: Vec<(String, Secret)>,
    /// How exai signs in.
    pub sign_in: SignInConfig,
}

impl fmt::Debug for Expanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expanded { <redacted> }")
    }
}

impl ServerConfig {
    /// The names of the secrets that the texts of this server refer to.
    pub fn find_secrets(&self) -> BTreeSet<String> {
        self.texts().flat_map(secrets_in).map(ToOwned::to_owned).collect()
    }

    /// Resolves every text of this server with the variables of the daemon's environment and the secrets.
    pub fn expand(
        &self,
        vars: &[(OsString, OsString)],
        secrets: &SecretStore,
    ) -> Result<Expanded, ExpandError> {
        let expand = |text: &str, place: &str| expand(text, place, vars, secrets);
        let optional =
            |text: &Option<String>, place: &str| text.as_deref().map(|text| expand(text, place)).transpose();
        let secret = |secret: &Option<Secret>, place: &str| {
            let text = secret.as_ref().map(|secret| expand(secret.expose(), place)).transpose()?;
            Ok(text.map(Secret::new))
        };
        let table = |table: &BTreeMap<String, Secret>, key: &str| {
            let resolve = |(name, value): (&String, &Secret)| {
                let text = expand(value.expose(), &format!("{key}.{name}"))?;
                Ok((name.clone(), Secret::new(text)))
            };
            table.iter().map(resolve).collect::<Result<Vec<_>, ExpandError>>()
        };
        Ok(Expanded {
            command: optional(&self.command, "command")?,
            args: self.args.iter().map(|text| expand(text, "args")).collect::<Result<_, _>>()?,
            env: table(&self.env, "env")?,
            cwd: optional(&self.cwd, "cwd")?,
            url: optional(&self.url, "url")?,
            headers: table(&self.headers, "headers")?,
            sign_in: SignInConfig {
                client_id: optional(&self.sign_in.client_id, "sign_in.client_id")?,
                client_secret: secret(&self.sign_in.client_secret, "sign_in.client_secret")?,
                scopes: self.sign_in.scopes.clone(),
            },
        })
    }
}

/// Resolves one text; `place` is its key, for the error. A value is inserted as it is: a `${…}` within
/// it is not looked at again.
pub fn expand(
    text: &str,
    place: &str,
    vars: &[(OsString, OsString)],
    secrets: &SecretStore,
) -> Result<String, ExpandError> {
    let place = || place.to_owned();
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let inner = rest[2..].split_once('}').map(|(inner, _)| inner);
        match inner.map(Reference::parse) {
            Some(Some(Reference::Environment(name))) => match find_variable(vars, name).map(OsStr::to_str) {
                Some(Some(value)) => result.push_str(value),
                Some(None) => return Err(ExpandError::NotText { name: name.to_owned(), place: place() }),
                None => return Err(ExpandError::Unset { name: name.to_owned(), place: place() }),
            },
            Some(Some(Reference::Secret(name))) => match secrets.find(name) {
                Some(value) => result.push_str(value.expose()),
                None => return Err(ExpandError::UnknownSecret { name: name.to_owned(), place: place() }),
            },
            Some(Some(Reference::ClientCwd)) => {
                return Err(ExpandError::ClientCwdNotAvailable { place: place() });
            }
            Some(None) | None => {
                result.push_str("${");
                rest = &rest[2..];
                continue;
            }
        }
        // The `${`, what stood between, and the `}`.
        rest = &rest[inner.map_or(0, str::len) + 3..];
    }
    result.push_str(rest);
    Ok(result)
}

enum Reference<'a> {
    Environment(&'a str),
    Secret(&'a str),
    ClientCwd,
}

impl Reference<'_> {
    fn parse(inner: &str) -> Option<Reference<'_>> {
        let name = |prefix| inner.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
        if inner == "client.cwd" {
            return Some(Reference::ClientCwd);
        }
        name("env:").map(Reference::Environment).or_else(|| name("secret:").map(Reference::Secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, ExpandError> {
        let vars =
            [("A", "one"), ("B", "${env:A}"), ("C", "")].map(|(name, value)| (name.into(), value.into()));
        expand(text, "args", &vars, &SecretStore::default())
    }

    #[test]
    fn variables_are_inserted_once_and_other_dollars_stay() {
        assert_eq!(resolve("x${env:A}-${env:A}y").unwrap(), "xone-oney");
        assert_eq!(resolve("${env:B}|${env:C}|").unwrap(), "${env:A}||");
        for plain in ["", "$", "$A", "${A}", "${env:}", "${env:A", "$${", "ä${ö}"] {
            assert_eq!(resolve(plain).unwrap(), plain);
        }
        assert_eq!(resolve("${${env:A}").unwrap(), "${one");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve("${env:NOPE}").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable NOPE is not set (used in args)");
        let error = resolve("${secret:DOCS}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the secret DOCS is not kept (used in args); `exai secret set DOCS` asks for it"
        );
        assert!(matches!(resolve("${client.cwd}/x"), Err(ExpandError::ClientCwdNotAvailable { .. })));
    }
}
