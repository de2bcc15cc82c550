//! Secrets as texts, for the file alone.

use exai_config::Secret;
use serde::Serializer;

pub(crate) fn expose<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
pub(crate) fn expose_any<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => to.serialize_some(secret.expose()),
        None => to.serialize_none(),
    }
}
