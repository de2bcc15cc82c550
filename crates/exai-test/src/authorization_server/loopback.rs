//! Addresses of this machine.

const HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// An `http` URL whose host is this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loopback {
    pub(super) host: String,
    pub(super) port: u16,
    /// The path, with the query.
    pub(super) path: String,
}

impl Loopback {
    /// `None` for every other URL, and for one with a fragment or a user.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = HOSTS.iter().find(|host| authority.strip_prefix(**host).is_some_and(is_port))?;
        let port = &authority[host.len()..];
        let port = if port.is_empty() { 80 } else { port[1..].parse().ok()? };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!url.contains('#')).then(|| Loopback { host: (*host).to_owned(), port, path })
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_this_machine_are_taken() {
        let parsed = Loopback::parse("http://127.0.0.1:81/back?x=1").unwrap();
        assert_eq!((&*parsed.host, parsed.port, &*parsed.path), ("127.0.0.1", 81, "/back?x=1"));
        assert_eq!(Loopback::parse("http://localhost").unwrap().path, "/");
        for wrong in [
            "https://127.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "http://example.com/",
            "http://127.0.0.1:1/#x",
            "http://127.0.0.1:/",
        ] {
            assert_eq!(Loopback::parse(wrong), None, "{wrong}");
        }
    }
}
