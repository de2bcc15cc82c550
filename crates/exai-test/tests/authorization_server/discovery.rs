//! The documents by which clients find their way.

use exai_test::authorization_server::{AuthorizationServer, Challenge, Discovery, Options, Place, Resource};
use serde_json::json;

use crate::client::{Client, account, call, get, send};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

#[test]
fn the_metadata_are_at_one_place_alone() {
    let places = |path: &str| {
        let inserted = [format!("{OAUTH}{path}"), format!("{OPENID}{path}")];
        inserted.into_iter().chain((!path.is_empty()).then(|| format!("{path}{OPENID}"))).collect::<Vec<_>>()
    };
    for (discovery, issuer_path, right) in [
        (Discovery::OAuth, "", 0),
        (Discovery::OpenIdInserted, "", 1),
        (Discovery::OAuth, "/tenant", 0),
        (Discovery::OpenIdInserted, "/tenant", 1),
        (Discovery::OpenIdAppended, "/tenant", 2),
    ] {
        let issuer_path = issuer_path.to_owned();
        let server = AuthorizationServer::start(Options {
            discovery,
            issuer_path: issuer_path.clone(),
            ..Options::default()
        });
        for (at, place) in places(&issuer_path).iter().enumerate() {
            let found = get(&server.url(place));
            assert_eq!(found.status, if at == right { 200 } else { 404 }, "{discovery:?} {place}");
        }
        let metadata = get(&server.url(&places(&issuer_path)[right])).json();
        assert_eq!(metadata["issuer"], server.issuer());
        assert_eq!(metadata["token_endpoint"], format!("{}/token", server.issuer()));
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(metadata["jwks_uri"].is_string(), discovery != Discovery::OAuth);
        let client = Client::register(&server);
        assert_eq!(account(&client.resource, &client.sign_in("mcp").0).as_deref(), Ok("alice"));
    }
}

#[test]
fn the_metadata_can_be_changed() {
    let metadata = json!({"issuer": "https://other.example", "code_challenge_methods_supported": null});
    let resource_metadata = json!({"resource": "https://other.example/mcp", "scopes_supported": null});
    let server = AuthorizationServer::start(Options { metadata, resource_metadata, ..Options::default() });
    let found = get(&server.url(OAUTH)).json();
    assert_eq!(found["issuer"], "https://other.example");
    assert!(found.get("code_challenge_methods_supported").is_none() && found["token_endpoint"].is_string());
    let found = get(&server.url(&format!("{RESOURCE}/mcp"))).json();
    assert_eq!(found["resource"], "https://other.example/mcp");
    assert!(found.get("scopes_supported").is_none());
    assert_eq!(found["authorization_servers"], json!([server.issuer()]));
}

#[test]
fn a_challenge_says_as_much_as_it_shall() {
    let place = |server: &AuthorizationServer| server.url(&format!("{RESOURCE}/mcp"));
    for (challenge, has_metadata, has_scope) in [
        (Challenge::Full, true, true),
        (Challenge::WithoutMetadata, false, true),
        (Challenge::WithoutScope, true, false),
    ] {
        let server = AuthorizationServer::start(Options { challenge, ..Options::default() });
        let answer = send("POST", &server.url("/mcp"), "", "{}");
        let header = answer.header("www-authenticate").unwrap();
        assert_eq!((answer.status, header.starts_with("Bearer ")), (401, true));
        assert_eq!(
            header.contains(&format!("resource_metadata=\"{}\"", place(&server))),
            has_metadata,
            "{header}"
        );
        assert_eq!(header.contains("scope=\"mcp\""), has_scope, "{header}");
        assert!(!header.contains("error"), "{header}");
        let header = call(&server.url("/mcp"), "wrong", "whoami");
        assert!(header.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        assert_eq!(server.seen().unauthorized, 2);
        assert_eq!(get(&place(&server)).json()["resource"], server.url("/mcp"));
    }
    let server = AuthorizationServer::start(Options { challenge: Challenge::Absent, ..Options::default() });
    assert_eq!(send("POST", &server.url("/mcp"), "", "{}").header("www-authenticate"), None);
}

#[test]
fn the_metadata_of_a_resource_can_be_at_the_root() {
    let resources = vec![Resource::new("/one", &["one"]), Resource::new("/two", &["two"])];
    let options = Options { resources: resources.clone(), ..Options::default() };
    let at_paths = AuthorizationServer::start(options);
    for path in ["/one", "/two"] {
        let found = get(&at_paths.url(&format!("{RESOURCE}{path}"))).json();
        assert_eq!(found["resource"], at_paths.url(path));
        assert_eq!(found["scopes_supported"], json!([&path[1..]]));
    }
    assert_eq!(get(&at_paths.url(RESOURCE)).status, 404);
    let options = Options { resources, resource_metadata_place: Place::AtRoot, ..Options::default() };
    let at_root = AuthorizationServer::start(options);
    assert_eq!(get(&at_root.url(RESOURCE)).json()["resource"], at_root.url("/one"));
    assert_eq!(get(&at_root.url(&format!("{RESOURCE}/one"))).status, 404);
}

#[test]
fn an_issuer_that_has_moved_knows_nobody() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, refresh) = client.sign_in("mcp");
    server.move_issuer("/new");
    assert_eq!(account(&client.resource, &access), Err(401));
    assert_eq!(client.refresh(&refresh).refusal(), (401, "invalid_client".to_owned()));
    let found = get(&server.url(&format!("{RESOURCE}/mcp"))).json();
    assert_eq!(found["authorization_servers"], json!([server.url("/new")]));
    assert_eq!(get(&server.url(&format!("{OAUTH}/new"))).json()["issuer"], server.url("/new"));
    let client = Client::register(&server);
    assert_eq!(account(&client.resource, &client.sign_in("mcp").0).as_deref(), Ok("alice"));
}
