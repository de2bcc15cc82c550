//! What `exai add` accepts besides a plain command and URL: pasted blocks, deep links, registry entries and bundles.

mod bundle;
mod bundle_path;
mod deep_link;
mod document;
mod encoding;
mod error;
mod inputs;
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
mod registry_url;
mod runner;
mod secret;
mod server_json;
#[cfg(test)]
mod shown;
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
pub use secret::{find_secrets, is_secret, is_secret_name, secret_values};
pub use server_json::{Offer, RegistryServer, is_server_json, read_server_json};
pub use warning::Warning;
