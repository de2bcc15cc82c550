//! The proxies that the environment names.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use exai_os::account::find_variable;
use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxies that the environment names. Cheap to clone.
///
/// `HTTPS_PROXY` is for `https` addresses, `HTTP_PROXY` for `http` ones, `ALL_PROXY` where these say nothing, and `NO_PROXY`
/// names the hosts that are reached directly. The names may also be in lower case. No proxy is asked for this machine
/// itself. A proxy may be an `http://` one, which is asked for a tunnel, or a `socks5://` one, which finds the addresses
/// of hosts itself.
#[derive(Clone)]
pub struct Proxies {
    matcher: Arc<Matcher>,
    /// What it was made of.
    named: Named,
}

/// The values of the variables, empty where there is none. They may hold passwords, and are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
struct Named {
    all: String,
    https: String,
    http: String,
    no: String,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Proxies").finish_non_exhaustive()
    }
}

/// Equal proxies lead to equal connections.
impl PartialEq for Proxies {
    fn eq(&self, other: &Self) -> bool {
        self.named == other.named
    }
}

impl Proxies {
    /// The proxies of an environment.
    pub fn of(vars: &[(OsString, OsString)]) -> Self {
        let value = |names| find_value(vars, names);
        Self::new(Named {
            all: value(["ALL_PROXY", "all_proxy"]),
            https: value(["HTTPS_PROXY", "https_proxy"]),
            http: value(["HTTP_PROXY", "http_proxy"]),
            no: value(["NO_PROXY", "no_proxy"]),
        })
    }

    /// The proxies of an environment for `https` addresses; every `http` address is reached directly. For whoever has
    /// plain addresses on this machine or near it only.
    pub fn for_https_alone(vars: &[(OsString, OsString)]) -> Self {
        let value = |names| find_value(vars, names);
        let named = value(["HTTPS_PROXY", "https_proxy"]);
        let https = if named.is_empty() { value(["ALL_PROXY", "all_proxy"]) } else { named };
        Self::new(Named { https, no: value(["NO_PROXY", "no_proxy"]), ..Named::default() })
    }

    fn new(named: Named) -> Self {
        let Named { all, https, http, no } = named.clone();
        let matcher = Matcher::builder().all(all).https(https).http(http).no(no).build();
        Proxies { matcher: Arc::new(matcher), named }
    }

    /// No proxies: every address is reached directly.
    pub fn none() -> Self {
        Self::of(&[])
    }

    /// The proxy through which an `http` or an `https` address is reached.
    pub(crate) fn find(&self, to: &Uri) -> Option<Intercept> {
        if is_loopback(to) { None } else { self.matcher.intercept(to) }
    }
}

/// The first value that says something.
fn find_value(vars: &[(OsString, OsString)], names: [&str; 2]) -> String {
    let find =
        |name: &&str| find_variable(vars, name).and_then(OsStr::to_str).filter(|text| !text.is_empty());
    names.iter().find_map(find).unwrap_or_default().to_owned()
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(named: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        named.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn found(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.find(&url.parse().unwrap()).map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn the_proxies_of_the_environment_are_known() {
        let proxies = Proxies::of(&vars(&[
            ("ALL_PROXY", ""),
            ("https_proxy", "http://u:p@proxy.example:3128"),
            ("HTTP_PROXY", "plain.example:8080"),
            ("NO_PROXY", "near.example"),
        ]));
        let proxy = proxies.find(&"https://far.example/v1".parse().unwrap()).unwrap();
        assert_eq!(proxy.uri().to_string(), "http://proxy.example:3128/");
        assert!(proxy.basic_auth().is_some());
        assert_eq!(found(&proxies, "http://far.example/").as_deref(), Some("http://plain.example:8080/"));
        for url in ["https://x.near.example/v1", "http://near.example/", "http://127.0.0.1/"] {
            assert_eq!(found(&proxies, url), None, "{url}");
        }
        assert!(!format!("{proxies:?}").contains("u:p"));
    }

    #[test]
    fn all_proxy_stands_in_for_both() {
        let both =
            Proxies::of(&vars(&[("ALL_PROXY", "socks5://proxy.example"), ("HTTP_PROXY", "plain.example")]));
        assert_eq!(found(&both, "https://far.example/").as_deref(), Some("socks5://proxy.example/"));
        assert_eq!(found(&both, "http://far.example/").as_deref(), Some("http://plain.example/"));
        assert_eq!(found(&Proxies::none(), "https://far.example/"), None);
    }

    #[test]
    fn plain_addresses_can_be_left_alone() {
        let all =
            vars(&[("ALL_PROXY", "proxy.example"), ("HTTP_PROXY", "plain.example"), ("NO_PROXY", "near")]);
        let proxies = Proxies::for_https_alone(&all);
        assert_eq!(found(&proxies, "http://far.example/"), None);
        assert_eq!(found(&proxies, "https://far.example/").as_deref(), Some("http://proxy.example/"));
        assert_eq!(found(&proxies, "https://near/"), None);
    }

    #[test]
    fn this_machine_is_known() {
        for (url, expected) in [
            ("https://127.0.0.1:8/", true),
            ("https://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("https://localhost/", true),
            ("https://LocalHost/", true),
            ("https://localhost.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
