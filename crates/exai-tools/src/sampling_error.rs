//! Why a client's own model did not answer.

use std::time::Duration;

use crate::explain::Explain;

/// Why a client's own model (MCP sampling) did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SamplingError {
    /// The client does not offer its model.
    #[error("this client does not let a server ask its model (it has not declared sampling)")]
    NotDeclared,
    /// exai passes no images to a client's model.
    #[error("images cannot be passed to the client's own model")]
    NoImages,
    /// The client, or the person before it, says no.
    #[error("the client refused to ask its model: {0}")]
    Refused(String),
    /// There was no answer in time.
    #[error("the client's model did not answer within {} minutes", .0.as_secs() / 60)]
    TimedOut(Duration),
    /// The client is gone.
    #[error("the client is gone: {0}")]
    Lost(String),
    /// The answer holds no text.
    #[error("the client's model answered without text")]
    Nonsense,
}

impl Explain for SamplingError {
    fn code(&self) -> &'static str {
        match self {
            SamplingError::NotDeclared => "no_sampling",
            SamplingError::NoImages => "no_vision",
            SamplingError::Refused(_) => "sampling_refused",
            SamplingError::TimedOut(_) => "timed_out",
            SamplingError::Lost(_) => "client_gone",
            SamplingError::Nonsense => "bad_answer",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SamplingError::NotDeclared | SamplingError::NoImages | SamplingError::Refused(_) => Some(
                "name another model (the tool `listmodels` lists them), or add a provider: see [providers] in docs/tools.md".into(),
            ),
            SamplingError::TimedOut(_) => Some("call again, or name another model".into()),
            SamplingError::Lost(_) | SamplingError::Nonsense => None,
        }
    }
}
