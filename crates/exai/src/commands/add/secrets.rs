//! The secrets of a server that is added: `secrets.toml` keeps them, and the configuration refers to them.

use exai_config::limits::MAX_SECRET_NAME_CHARS;
use exai_config::secret_edit::set_secret;
use exai_config::secret_store::is_secret_name;
use exai_config::{Home, Secret};
use exai_setup::source::find_secrets;
use exai_setup::{ServerEntry, Transport};

use super::hash::sha256;
use crate::error::Error;
use crate::printer::Printer;

/// A secret that is to be kept.
pub(super) struct NewSecret {
    /// The name under which it is kept.
    name: String,
    /// The variable, header or setting.
    key: String,
    value: Secret,
    /// Whether the description says that it is one; else its name does.
    is_declared: bool,
}

impl NewSecret {
    /// The secret of this server with this key.
    pub(super) fn new(server: &str, key: &str, value: &str, is_declared: bool) -> Self {
        NewSecret {
            name: secret_name(server, key),
            key: key.to_owned(),
            value: Secret::new(value),
            is_declared,
        }
    }

    /// What stands for it in the configuration.
    pub(super) fn reference(&self) -> String {
        format!("${{secret:{}}}", self.name)
    }

    pub(super) fn keep(self, home: &Home, printer: &Printer) -> Result<(), Error> {
        let NewSecret { name, key, value, is_declared } = self;
        set_secret(home, &name, value)?;
        let what = if is_declared { "is a secret" } else { "looks like a secret" };
        printer.warn(&format!("the value of {key} {what}; it is in secrets.toml as {name}"));
        Ok(())
    }
}

/// The name under which the value of a variable, header or setting of a server is kept.
pub(in crate::commands) fn secret_name(server: &str, key: &str) -> String {
    let name = format!("{server}.{key}");
    if is_secret_name(&name) {
        return name;
    }
    // What is left of the name may be that of another secret; its hash tells them apart.
    let fits = |character: char| is_secret_name(&character.to_string());
    let mut valid: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let mut hash = sha256(name.as_bytes());
    hash.truncate(8);
    valid.truncate(MAX_SECRET_NAME_CHARS - 1 - hash.len());
    format!("{valid}-{hash}")
}

/// Moves the secrets of a server to `secrets.toml`, and puts references in their places.
pub(in crate::commands) fn move_secrets(
    home: &Home,
    server: &str,
    entry: &mut ServerEntry,
) -> Result<(), Error> {
    for secret in take_secrets(server, entry) {
        set_secret(home, &secret.name, secret.value)?;
    }
    Ok(())
}

/// Takes the secrets out of a server, and puts references in their place.
pub(super) fn take_secrets(server: &str, entry: &mut ServerEntry) -> Vec<NewSecret> {
    let secret: Vec<String> = find_secrets(entry).into_iter().map(ToOwned::to_owned).collect();
    let declared = std::mem::take(&mut entry.secrets);
    let pairs = match &mut entry.transport {
        Transport::Stdio { env, .. } => env,
        Transport::Url { headers, .. } => headers,
    };
    let mut taken = Vec::new();
    for (key, value) in pairs.iter_mut().filter(|(key, _)| secret.contains(key)) {
        let new = NewSecret::new(server, key, value, declared.contains(key));
        *value = new.reference();
        taken.push(new);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_valid_name_of_its_own() {
        assert_eq!(secret_name("gh", "GITHUB_TOKEN"), "gh.GITHUB_TOKEN");
        let long = "x".repeat(100);
        let keys = ["a b", "a_b", "ProgramFiles(x86)", "ä", &long, &format!("{long}y")];
        let names: std::collections::BTreeSet<String> =
            keys.iter().map(|key| secret_name("s", key)).collect();
        assert_eq!(names.len(), keys.len(), "{names:?}");
        assert!(names.iter().all(|name| is_secret_name(name)), "{names:?}");
    }
}
