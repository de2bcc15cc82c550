//! What `exai add` accepts besides a plain command and URL: pasted blocks, deep links, registry entries and bundles.

mod command_line;
mod deep_link;
mod encoding;
mod entry_shape;
mod error;
mod inputs;
mod json;
mod name;
mod pasted;
mod plan;
mod question;
mod secret;
mod toml;
mod tree;
mod variables;
mod warning;

pub use deep_link::{is_link, read_link};
pub use error::{Position, SourceError};
pub use name::{MAX_NAME_CHARS, ValidName, make_valid_name};
pub use pasted::{PasteOptions, Pasted, read_pasted};
pub use plan::Plan;
pub use question::{AnswerKind, Answers, Question};
pub use secret::{find_secrets, is_secret, is_secret_name};
pub use warning::Warning;
