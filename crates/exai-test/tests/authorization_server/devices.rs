//! The device flow.

use exai_test::authorization_server::{AuthorizationServer, Consent, DevicePlan, Options, Settings, follow};
use serde_json::Value;

use crate::client::{Client, account, post_form, tokens};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn start(interval: u64, pending: u32, slow_downs: u32) -> AuthorizationServer {
    let device = DevicePlan { interval, pending, slow_downs };
    let settings = Settings { device, ..Settings::default() };
    AuthorizationServer::start(Options { settings, ..Options::default() })
}

fn begin(client: &Client<'_>) -> Value {
    let fields = [("client_id", &*client.id), ("resource", &*client.resource), ("scope", "mcp")];
    let begun = post_form(&format!("{}/device_authorization", client.server.issuer()), "", &fields);
    assert_eq!(begun.status, 200, "{begun:?}");
    begun.json()
}

fn poll(client: &Client<'_>, begun: &Value) -> crate::client::Answer {
    client.token(&[("grant_type", DEVICE_CODE), ("device_code", begun["device_code"].as_str().unwrap())])
}

fn error(client: &Client<'_>, begun: &Value) -> String {
    let (status, error) = poll(client, begun).refusal();
    assert_eq!(status, 400);
    error
}

#[test]
fn a_device_waits_and_gets_its_tokens_once() {
    let server = start(0, 2, 0);
    let client = Client::register(&server);
    let begun = begin(&client);
    assert_eq!([error(&client, &begun), error(&client, &begun)], ["authorization_pending"; 2]);
    let (access, refresh) = tokens(&poll(&client, &begun));
    assert_eq!(account(&client.resource, &access).as_deref(), Ok("alice"));
    assert_eq!(client.refresh(&refresh).status, 200);
    assert_eq!(error(&client, &begun), "invalid_grant");
    assert_eq!((server.seen().device_requests, server.seen().polls), (1, 4));
}

#[test]
fn a_device_that_does_not_wait_is_told_to() {
    let server = start(60, 1, 0);
    let client = Client::register(&server);
    let begun = begin(&client);
    assert_eq!(begun["interval"], 60);
    assert_eq!([error(&client, &begun), error(&client, &begun)], ["authorization_pending", "slow_down"]);
    assert_eq!(server.seen().hasty_polls, 1);
    let planned = start(0, 0, 1);
    let client = Client::register(&planned);
    let begun = begin(&client);
    assert_eq!([error(&client, &begun), error(&client, &begun)], ["slow_down"; 2]);
    assert_eq!(planned.seen().hasty_polls, 1, "the pause is five seconds longer now");
}

#[test]
fn somebody_allows_or_denies_a_device_at_its_page() {
    let server = start(0, 0, 0);
    server.change(|settings| settings.consent = Consent::Page);
    let client = Client::register(&server);
    let (one, other) = (begin(&client), begin(&client));
    assert_eq!(error(&client, &one), "authorization_pending");
    let page = |begun: &Value| follow(begun["verification_uri_complete"].as_str().unwrap());
    assert_eq!([page(&one).press("allow").status, page(&other).press("deny").status], [200, 200]);
    assert_eq!(error(&client, &other), "access_denied");
    assert_eq!(poll(&client, &one).status, 200);
}

#[test]
fn a_device_code_is_of_one_client_and_ends() {
    let server = start(0, 0, 0);
    let client = Client::register(&server);
    let begun = begin(&client);
    assert_eq!(error(&Client::register(&server), &begun), "invalid_grant");
    server.expire_device_codes();
    assert_eq!(error(&client, &begun), "expired_token");
    let fields = [("client_id", &*client.id), ("scope", "mcp")];
    let without_resource = post_form(&format!("{}/device_authorization", server.issuer()), "", &fields);
    assert_eq!(without_resource.refusal(), (400, "invalid_target".to_owned()));
}
