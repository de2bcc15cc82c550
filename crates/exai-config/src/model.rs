//! `[models.NAME]`: a name for one model of one provider, and what is known of that model.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Fault, check_number, check_word};
use crate::limits::{MAX_MODEL_NAME_CHARS, MAX_TOKENS};

/// One `[models.NAME]` table. Its provider need not be configured: providers come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelAlias {
    /// The name.
    pub name: String,
    /// The name of the provider.
    pub provider: String,
    /// What the provider calls the model.
    pub id: String,
    /// How many tokens a request and its answer may have together, if that is known.
    pub context: Option<u64>,
    /// How many tokens an answer may have, if that is known.
    pub max_output: Option<u64>,
    /// Whether it understands images, if that is known.
    pub vision: Option<bool>,
    /// Whether it can be told how long to think, if that is known.
    pub thinking: Option<bool>,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    provider: Option<Spanned<String>>,
    id: Option<Spanned<String>>,
    context: Option<Spanned<i64>>,
    max_output: Option<Spanned<i64>>,
    vision: Option<bool>,
    thinking: Option<bool>,
}

impl Written {
    /// Checks what the types cannot. `at` is the place of the name.
    pub(crate) fn check(self, name: String, at: &Range<usize>) -> Result<ModelAlias, Fault> {
        check_name(&name).map_err(|sentence| Fault::new(at.clone(), sentence))?;
        let (Some(provider), Some(id)) = (self.provider, self.id) else {
            return Err(Fault::new(at.clone(), "a model needs a `provider` and an `id`"));
        };
        check_word("provider", &provider)?;
        check_word("id", &id)?;
        let tokens = |key, number| {
            Ok(check_number(key, number, 1..=MAX_TOKENS)?.and_then(|number| u64::try_from(number).ok()))
        };
        Ok(ModelAlias {
            name,
            provider: provider.into_inner(),
            id: id.into_inner(),
            context: tokens("context", self.context)?,
            max_output: tokens("max_output", self.max_output)?,
            vision: self.vision,
            thinking: self.thinking,
        })
    }
}

/// Checks a text that is to be a name for a model. The error is a sentence.
fn check_name(name: &str) -> Result<(), String> {
    if ["auto", "client"].contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("no model can be called `{name}`: that word has a meaning of its own"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if name.is_empty() || name.len() > MAX_MODEL_NAME_CHARS || !name.bytes().all(fits) {
        return Err(format!(
            "the name of a model has 1 to {MAX_MODEL_NAME_CHARS} characters: letters, digits, `-`, `_`, `.` and `:`"
        ));
    }
    Ok(())
}
