//! What `exai add` accepts besides a plain command and URL: pasted blocks, deep links, registry entries and bundles.

mod bundle;
mod bundle_path;
mod command_line;
mod deep_link;
mod encoding;
mod entry_shape;
mod error;
mod inputs;
mod json;
mod manifest;
mod manifest_text;
mod name;
mod pasted;
mod places;
mod plan;
mod question;
mod registry_input;
mod registry_name;
mod registry_package;
mod runner;
mod secret;
mod server_json;
#[cfg(test)]
mod shown;
mod toml;
mod tree;
mod variables;
mod warning;

pub use bundle::{Bundle, BundleFile, MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES, UnpackError};
pub use deep_link::{is_link, read_link};
pub use error::{Position, SourceError};
pub use manifest::Manifest;
pub use name::{MAX_NAME_CHARS, ValidName, make_valid_name};
pub use pasted::{PasteOptions, Pasted, read_pasted};
pub use places::{Places, Platform};
pub use plan::Plan;
pub use question::{AnswerKind, Answers, Question};
pub use registry_name::RegistryName;
pub use registry_package::BundleDownload;
pub use runner::Runner;
pub use secret::{find_secrets, is_secret, is_secret_name};
pub use server_json::{Offer, RegistryServer, read_server_json};
pub use warning::Warning;
