//! A real browser: Chromium, which the peers have for Linux on x64.

use std::process::Stdio;

use exai_test::authorization_server::{AuthorizationServer, Consent, Options, Settings};
use exai_test::peers;
use serde_json::{Value, json};

use super::{OidcServer, account};
use crate::remote::hosting;
use crate::sign_in::Login;

/// Opens a page, and presses the first button of every page with a form. The page where it ends.
fn browse(url: &str) -> Value {
    let own = tempfile::tempdir().expect("a directory");
    let mut command = peers::script("browser.mjs");
    command.arg(url).env("TMPDIR", own.path()).env("HOME", own.path()).stdin(Stdio::null());
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Checks that this is the page of the daemon after a sign-in, which a browser shows as it is meant, and nobody keeps.
#[track_caller]
fn is_callback(page: &Value) {
    assert_eq!(page["status"], 200, "{page}");
    let said = "You are signed in at far, for all clients of exai. You can close this page.";
    assert_eq!(page["text"], said, "{page}");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    for (header, value) in [
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page["headers"][header], value, "{page}");
    }
    assert!(page["url"].as_str().is_some_and(|url| url.contains("/oauth/callback?")), "{page}");
}

#[test]
fn chromium_signs_in_by_a_button() {
    let settings = Settings { consent: Consent::Page, ..Settings::default() };
    let server = AuthorizationServer::start(Options { settings, ..Options::default() });
    let instance = hosting(&server.url("/mcp"), "");
    let login = Login::begin(&instance, "far", &[]);
    let page = browse(&login.page);
    is_callback(&page);
    assert_eq!((&page["blocked"], &page["complaints"]), (&json!([]), &json!([])), "{page}");
    login.succeeds();
    assert_eq!((server.seen().pages, server.seen().codes), (1, 1));
    let answer = instance.client("far").ask("tools/call", &json!({"name": "whoami", "arguments": {}}));
    assert!(answer["result"].is_object(), "{answer}");
}

/// A password, then consent, with the cookies and the policies of a server that is in use elsewhere.
#[test]
fn chromium_signs_in_at_oidc_provider() {
    let server = OidcServer::start();
    let instance = hosting(&server.mcp, "");
    let login = Login::begin(&instance, "far", &[]);
    is_callback(&browse(&login.page));
    login.succeeds();
    let account = account(&mut instance.client("far"));
    assert_eq!((&account["sub"], &account["errors"]), (&json!("tester"), &json!([])), "{account}");
}
