//! What a client may do wrong in a call.

use crate::explain::Explain;

/// A call that cannot be carried out as it is. Nothing was asked and nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// A required field is not there.
    #[error("`{field}` is missing: `{tool}` needs {needed}.")]
    Missing {
        /// The tool.
        tool: String,
        /// The field.
        field: String,
        /// All that the tool needs.
        needed: String,
    },
    /// A field has a value that it may not have.
    #[error("`{field}` is {given}, and must be {allowed}.")]
    Unfit {
        /// The field.
        field: String,
        /// What was given, cut.
        given: String,
        /// What is allowed.
        allowed: String,
    },
    /// The step does not continue what is known, and going on would lose something.
    #[error("{problem}")]
    WrongStep {
        /// What is wrong, as a sentence.
        problem: String,
        /// What to do about it, as a sentence.
        way_out: String,
    },
}

impl Explain for BadInput {
    fn code(&self) -> &'static str {
        match self {
            BadInput::Missing { .. } | BadInput::Unfit { .. } => "invalid_arguments",
            BadInput::WrongStep { .. } => "wrong_step",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            BadInput::Missing { tool, field, .. } => format!("Call `{tool}` again, with `{field}`."),
            BadInput::Unfit { field, .. } => format!("Correct `{field}` and call the tool again."),
            BadInput::WrongStep { way_out, .. } => way_out.clone(),
        })
    }
}
