//! Why no model has answered.

use super::fault::Fault;
use crate::explain::Explain;

/// Why no model has answered, or none can be chosen. No text of it holds a key or the value of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// `config.toml` has no provider.
    #[error("no model is set up: config.toml has no provider")]
    NoProvider,
    /// No provider has such a model.
    #[error("there is no model {wanted:?}{}", nearest.as_ref().map_or_else(String::new, |name| format!("; the nearest is {name:?}")))]
    UnknownModel {
        /// What was asked for.
        wanted: String,
        /// The known model whose name is the most alike.
        nearest: Option<String>,
    },
    /// Several providers have the model.
    #[error("several providers have a model {wanted:?}: {}", providers.join(", "))]
    AmbiguousModel {
        /// What was asked for.
        wanted: String,
        /// Those that have it.
        providers: Vec<String>,
    },
    /// `auto` finds no model: no provider names one, and none lists one.
    #[error("no provider offers a model{}", list_of(failures))]
    NothingOffered {
        /// What each provider failed with.
        failures: Vec<String>,
    },
    /// All models of `auto` have failed, and none of the failures has cost anything.
    #[error("no model has answered{}", list_of(failures))]
    AllFailed {
        /// One for each model, at least one.
        failures: Vec<ModelError>,
    },
    /// A request has failed.
    #[error(transparent)]
    Call(Box<CallError>),
}

fn list_of<T: ToString>(failures: &[T]) -> String {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    if texts.is_empty() { String::new() } else { format!(": {}", texts.join("; ")) }
}

/// Why a request to a model has failed, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The provider's name in `config.toml`.
    pub provider: String,
    /// The model that was asked, as the provider calls it; empty for the list of models.
    pub model: String,
    /// What went wrong.
    pub fault: Fault,
    /// What the model had answered by then.
    pub partial: String,
    /// How many characters of thoughts had come by then.
    pub thought_chars: usize,
    /// Whether the provider may demand money for it: the model has begun to work, or nobody knows.
    pub may_have_cost: bool,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.provider)?;
        if !self.model.is_empty() {
            write!(f, " ({})", self.model)?;
        }
        write!(f, ": {}", self.fault)?;
        match (self.partial.chars().count(), self.thought_chars) {
            (0, 0) => Ok(()),
            (0, thoughts) => write!(f, "; {thoughts} characters of thoughts and no answer had come"),
            (chars, _) => write!(f, "; {chars} characters of the answer had come"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for ModelError {
    fn from(error: CallError) -> Self {
        ModelError::Call(Box::new(error))
    }
}

impl ModelError {
    /// Whether the provider may demand money for it. If not, the request may go to another model.
    pub fn may_have_cost(&self) -> bool {
        matches!(self, ModelError::Call(error) if error.may_have_cost)
    }

    /// What the model had answered before it failed; empty if nothing.
    pub fn partial(&self) -> &str {
        match self {
            ModelError::Call(error) => &error.partial,
            _ => "",
        }
    }
}

impl Explain for ModelError {
    fn code(&self) -> &'static str {
        match self {
            ModelError::NoProvider => "no_provider",
            ModelError::UnknownModel { .. } => "unknown_model",
            ModelError::AmbiguousModel { .. } => "ambiguous_model",
            ModelError::NothingOffered { .. } => "no_model_offered",
            ModelError::AllFailed { .. } => "all_models_failed",
            ModelError::Call(error) => error.fault.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ModelError::NoProvider => "Add one: `exai add --tools --force` finds Ollama and LM Studio on this machine, or \
                                       write [providers.NAME] with `base_url` and `key` into config.toml; a client that \
                                       can sample is asked with model \"client\"."
                .to_owned(),
            ModelError::UnknownModel { .. } => {
                "Ask the tool `listmodels` for the models that there are.".to_owned()
            }
            ModelError::AmbiguousModel { wanted, providers } => {
                format!("Say which one: {}/{wanted}.", providers.first().map_or("PROVIDER", String::as_str))
            }
            ModelError::NothingOffered { .. } => {
                "Name a model in config.toml: `models` of a provider, or `models` in [ai].".to_owned()
            }
            ModelError::AllFailed { failures } => return failures.first().and_then(Explain::hint),
            ModelError::Call(error) => error.fault.hint(&error.provider),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_how_far_the_answer_came() {
        let mut error = CallError {
            provider: "glm".to_owned(),
            model: "glm-5".to_owned(),
            fault: Fault::Cut { why: String::new() },
            partial: "häl".to_owned(),
            thought_chars: 9,
            may_have_cost: true,
        };
        assert_eq!(
            error.to_string(),
            "glm (glm-5): the answer was cut off in the middle; 3 characters of the answer had come"
        );
        error.partial.clear();
        assert!(error.to_string().ends_with("; 9 characters of thoughts and no answer had come"));
        let error = ModelError::from(error);
        assert_eq!((error.code(), error.may_have_cost()), ("stream_cut", true));
        assert!(!ModelError::NoProvider.may_have_cost());
    }
}
