//! Headers that a user has configured.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};

/// Reads headers of the configuration, pairs of a name and a value. The values are secrets: nothing prints them. Headers that
/// frame a request are left out: the configuration must not set them.
///
/// # Errors
/// The name of a header that cannot be sent.
pub fn read_headers<'a>(
    configured: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, &'a str> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let mut secret = HeaderValue::from_str(value).map_err(|_| name)?;
        secret.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| name)?, secret);
    }
    for ours in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        headers.remove(ours);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_and_shown_to_nobody() {
        let good = read_headers([("Authorization", "Bearer x"), ("Transfer-Encoding", "chunked")]).unwrap();
        assert!(good["authorization"].is_sensitive());
        assert_eq!(good.len(), 1);
        assert_eq!(read_headers([("X-Key", "secret\r\nHost: evil")]), Err("X-Key"));
        assert_eq!(read_headers([("X Key", "secret")]), Err("X Key"));
    }
}
