//! What the body of a refusal says, for people.

use bytes::Bytes;

use super::session::complaint;
use crate::limits::MAX_SHOWN_ERROR_CHARS;

/// What a server does whose redirect is not followed. Reads after "the server".
pub(in crate::upstream) const REDIRECTS_AWAY: &str =
    "redirects to another place, where nothing is sent; correct its `url`";

/// The text of an error, to stand behind what was answered.
pub(in crate::upstream) fn explanation(body: &Bytes) -> String {
    shown(body).map_or_else(|| " without a message".to_owned(), |text| format!(": {text}"))
}

/// The beginning of the text of an error, if it has one.
pub(super) fn shown(body: &Bytes) -> Option<String> {
    let text = complaint(body).unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let shown: String = text.chars().filter(|one| !one.is_control()).take(MAX_SHOWN_ERROR_CHARS).collect();
    Some(shown).filter(|shown| !shown.is_empty())
}

/// Says that a server asks for a sign-in. Reads after "the server".
pub(in crate::upstream) fn ask_for_sign_in(body: &Bytes) -> String {
    format!("asks for a sign-in (HTTP 401){}; set `Authorization` in its `headers`", explanation(body))
}
