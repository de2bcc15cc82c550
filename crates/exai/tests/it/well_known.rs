//! `exai add` of well-known servers of the Internet, without the Internet: a proxy plays their recorded answers.
//!
//! `well_known/recorded` has a file for each server, which says what of it was recorded and what was filled in.
//! `well_known/expected` has what `exai add` says; `EXAI_WRITE_GOLDEN=1` writes it anew. The proxy, and whom to trust, are
//! variables of the server. The daemon may look up the names of the servers; it connects to none.

mod replay;

use std::path::{Path, PathBuf};

use exai_test::http::Request;

use self::replay::Replay;
use crate::support::{Instance, switch, text};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/well_known")
}

/// Adds a recorded server, checks what is said, and returns what was asked.
fn add(name: &str) -> Vec<(String, Request)> {
    let replay = Replay::start(&folder().join(format!("recorded/{name}.json")));
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let variables = replay.variables(&folder().join("tls/ca.pem"));
    let variables = variables.iter().flat_map(|variable| ["-e", variable]);
    let args: Vec<&str> = ["add", name].into_iter().chain(variables).chain([&*replay.server]).collect();
    let output = instance.exai(&args);
    let said = text(&output.stdout) + &text(&output.stderr);
    let said = said.replace(&format!("127.0.0.1:{}", instance.port()), "127.0.0.1:PORT");
    assert!(output.status.success(), "{said}");
    assert_eq!(replay.strangers(), [] as [&str; 0], "nobody else is asked");
    compare(&folder().join(format!("expected/{name}.txt")), &said);
    assert!(!instance.home().join("sign-ins").exists(), "nothing is kept");
    replay.requests()
}

fn compare(path: &Path, said: &str) {
    if switch("EXAI_WRITE_GOLDEN").is_some() {
        return std::fs::write(path, said).expect("the text is written");
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(said, wanted, "not as {}", path.display());
}

/// A server that wants a sign-in is asked once, its documents are read, and nothing is registered.
fn wants_a_sign_in(name: &str) {
    let requests = add(name);
    let posts = requests.iter().filter(|(_, request)| request.method != "GET");
    assert_eq!(posts.count(), 1, "{requests:#?}");
}

#[test]
fn github_registers_nobody_so_a_person_must() {
    wants_a_sign_in("github");
}

#[test]
fn notion_registers_whoever_asks_and_names_no_scopes() {
    wants_a_sign_in("notion");
}

#[test]
fn sentry_is_found_at_the_usual_place_and_names_scopes() {
    wants_a_sign_in("sentry");
}

#[test]
fn atlassian_is_its_own_authorization_server_and_says_nothing_of_itself() {
    wants_a_sign_in("atlassian");
}

#[test]
fn an_authorization_server_that_calls_itself_otherwise_is_not_trusted() {
    wants_a_sign_in("atlassian-authv2");
}

#[test]
fn deepwiki_wants_no_sign_in() {
    add("deepwiki");
}

#[test]
fn the_documentation_of_cloudflare_speaks_both_eras() {
    add("cloudflare-docs");
}

#[test]
fn the_documentation_of_cloudflare_spoke_the_older_transport() {
    add("cloudflare-docs-sse");
}
