//! Which URLs of a registry are taken.

/// Whether a URL is at `https`, or on this machine: headers may hold secrets, which must not cross a network in the open.
pub(crate) fn is_safe_url(url: &str) -> bool {
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let is_local = |start: &str| {
        url.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']) && !rest.contains('@'))
    };
    let rest = url.strip_prefix("https://");
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']));
    is_one_word(url) && (has_host || local.into_iter().any(is_local))
}

/// Whether a text has no white space and no control characters.
pub(crate) fn is_one_word(text: &str) -> bool {
    !text.contains(|character: char| character.is_whitespace() || character.is_control())
}
