//! Where a server of the HTTP+SSE transport wants its messages: what its first event names, resolved and checked.

use super::server_url::ServerUrl;
use crate::upstream::server_output::visible;

/// Why nothing is posted to an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WrongEndpoint {
    /// It is of another origin, which is named.
    Elsewhere(String),
    /// No message can be posted there.
    Unusable,
}

/// The path and query of the endpoint that `reference` names in an event stream, which was asked for at `base`, a path of
/// this server. Credentials go there, so it must have the scheme, the host and the port of the stream.
pub(super) fn resolve(place: &ServerUrl, base: &str, reference: &str) -> Result<String, WrongEndpoint> {
    let reference = reference.trim_ascii();
    let reference = reference.split('#').next().unwrap_or_default();
    let is_graphic = reference.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if reference.is_empty() || !is_graphic {
        return Err(WrongEndpoint::Unusable);
    }
    let base = base.split('?').next().unwrap_or_default();
    let path = if let Some((scheme, rest)) = split_scheme(reference) {
        of_same_origin(place, scheme, rest)?
    } else if reference.starts_with("//") {
        of_same_origin(place, place.scheme_name(), reference)?
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else if reference.starts_with('?') {
        format!("{base}{reference}")
    } else {
        let directory = base.rfind('/').map_or("/", |slash| &base[..=slash]);
        format!("{directory}{reference}")
    };
    let path = without_dots(&path);
    place.absolute(&path).map(|_| path).ok_or(WrongEndpoint::Unusable)
}

/// The scheme of an absolute URL, and what follows the colon.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// The path of a URL, of which `rest` stands behind the scheme, if it is of this server.
fn of_same_origin(place: &ServerUrl, scheme: &str, rest: &str) -> Result<String, WrongEndpoint> {
    let behind = rest.strip_prefix("//").ok_or(WrongEndpoint::Unusable)?;
    let (authority, path) = behind.split_at(behind.find(['/', '?']).unwrap_or(behind.len()));
    if !place.is_origin(scheme, authority) {
        let host = authority.rsplit('@').next().unwrap_or_default();
        return Err(WrongEndpoint::Elsewhere(visible(format!("{scheme}://{host}").as_bytes())));
    }
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// A path whose segments `.` and `..` are carried out. The query stays as it is.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(url: &str, reference: &str) -> Result<String, WrongEndpoint> {
        let place = ServerUrl::parse_remote(url).unwrap();
        resolve(&place, &place.path, reference)
    }

    #[test]
    fn an_endpoint_is_resolved_against_the_stream() {
        let url = "http://127.0.0.1:9001/a/sse?key=1";
        for (reference, expected) in [
            ("/messages/?session_id=7", "/messages/?session_id=7"),
            ("messages?s=7", "/a/messages?s=7"),
            ("./messages", "/a/messages"),
            ("../messages?x=/../y", "/messages?x=/../y"),
            ("../../../m/.", "/m/"),
            ("?s=7", "/a/sse?s=7"),
            (" /m#part ", "/m"),
            ("http://127.0.0.1:9001/m?s=7", "/m?s=7"),
            ("HTTP://127.0.0.1:9001?s=7", "/?s=7"),
            ("//127.0.0.1:9001/m", "/m"),
            ("m:1/x?y=z", "unusable"),
            ("./m:1", "/a/m:1"),
            ("", "unusable"),
            ("/a b", "unusable"),
            ("/\\evil.com/", "unusable"),
            ("/ü", "unusable"),
            ("http:/m", "unusable"),
        ] {
            let found = resolved(url, reference);
            let expected = Some(expected).filter(|expected| *expected != "unusable");
            assert_eq!(found, expected.map(ToOwned::to_owned).ok_or(WrongEndpoint::Unusable), "{reference}");
        }
    }

    #[test]
    fn an_endpoint_of_another_origin_is_refused() {
        for (url, reference, origin) in [
            ("http://127.0.0.1:9001/sse", "http://127.0.0.1:9002/m", Some("http://127.0.0.1:9002")),
            ("http://127.0.0.1:9001/sse", "https://127.0.0.1:9001/m", Some("https://127.0.0.1:9001")),
            ("http://127.0.0.1:9001/sse", "//evil.com/m", Some("http://evil.com")),
            ("https://a.example/sse", "https://a.example@evil.com/m", Some("https://evil.com")),
            ("https://a.example/sse", "https://a.example.evil.com/m", Some("https://a.example.evil.com")),
            ("https://a.example/sse", "http://a.example/m", Some("http://a.example")),
            ("https://a.example/sse", "https://a.example:8443/m", Some("https://a.example:8443")),
            ("https://a.example/sse", "https://A.example:443/m", None),
            ("https://a.example:443/sse", "https://a.example/m", None),
            ("http://a.example/sse", "http://a.example:80/m", None),
        ] {
            let expected =
                origin.map_or(Ok("/m".to_owned()), |origin| Err(WrongEndpoint::Elsewhere(origin.to_owned())));
            assert_eq!(resolved(url, reference), expected, "{url} {reference}");
        }
    }
}
