//! The official conformance suite judges a server of either era, alone and behind exai.

use std::process::Command;

use exai_test::suite::{Bridge, Requirements, judge};
use exai_test::{free_port, program, with_token};
use serde_json::json;
use tempfile::tempdir;

use crate::support::Instance;

/// Fails with the failed checks unless the server at `url` has passed all that is required.
#[track_caller]
fn passes(what: &str, url: &str, requirements: Requirements) {
    let dir = tempdir().expect("a directory");
    let verdict = judge(url, requirements, dir.path());
    assert!(verdict.is_good(), "{what}: {verdict}");
}

/// An instance that hosts the server under the name `suite`.
fn hosting(switches: &[&str]) -> Instance {
    let (command, switches) = (json!(program("suite-server")), json!(switches));
    // Without `bridge`, exai sends modern clients of a legacy server back to the legacy era.
    let instance =
        Instance::new(&format!("[servers.suite]\ncommand = {command}\nargs = {switches}\nbridge = true\n"));
    instance.ends(0, &["start"]);
    instance
}

#[track_caller]
fn over_http(era: &str, requirements: Requirements) {
    let instance = hosting(&["--era", era]);
    passes(era, &url(&instance), requirements);
}

/// The endpoint of the server, where no token is needed: the suite can send none.
fn url(instance: &Instance) -> String {
    format!("http://127.0.0.1:{}/mcp/suite", with_token(instance.port(), &instance.token()))
}

/// A server that runs elsewhere and speaks Streamable HTTP itself.
#[track_caller]
fn elsewhere(era: &str, requirements: Requirements) {
    let server = Bridge::start(Command::new(program("suite-server")).args(["--era", era]));
    let instance = Instance::new(&format!("[servers.suite]\nurl = {}\nbridge = true\n", json!(server.url())));
    instance.ends(0, &["start"]);
    passes(era, &url(&instance), requirements);
}

#[track_caller]
fn through_the_shim(era: &str, requirements: Requirements) {
    let instance = hosting(&["--era", era]);
    let bridge = Bridge::start(&instance.command(&["shim", "--server", "suite"]));
    passes(era, bridge.url(), requirements);
}

/// Without exai: what fails behind exai is no fault of the server or of the bridge.
#[test]
fn the_server_and_the_bridge_alone_pass_everything() {
    for (era, requirements) in [
        ("legacy", Requirements::Legacy),
        ("dual", Requirements::Legacy),
        ("modern", Requirements::Modern),
        ("dual", Requirements::Modern),
    ] {
        let bridge = Bridge::start(Command::new(program("suite-server")).args(["--era", era]));
        passes(era, bridge.url(), requirements);
    }
}

#[test]
fn a_legacy_server_passes_the_legacy_set_over_http() {
    over_http("legacy", Requirements::Legacy);
}

#[test]
fn a_dual_server_passes_the_legacy_set_over_http() {
    over_http("dual", Requirements::Legacy);
}

#[test]
fn a_modern_server_passes_the_legacy_set_over_http() {
    over_http("modern", Requirements::Legacy);
}

#[test]
fn a_modern_server_passes_the_modern_set_over_http() {
    over_http("modern", Requirements::Modern);
}

#[test]
fn a_dual_server_passes_the_modern_set_over_http() {
    over_http("dual", Requirements::Modern);
}

#[test]
fn a_legacy_server_passes_the_legacy_set_through_the_shim() {
    through_the_shim("legacy", Requirements::Legacy);
}

#[test]
fn a_dual_server_passes_the_legacy_set_through_the_shim() {
    through_the_shim("dual", Requirements::Legacy);
}

#[test]
fn a_modern_server_passes_the_legacy_set_through_the_shim() {
    through_the_shim("modern", Requirements::Legacy);
}

#[test]
fn a_modern_server_passes_the_modern_set_through_the_shim() {
    through_the_shim("modern", Requirements::Modern);
}

#[test]
fn a_dual_server_passes_the_modern_set_through_the_shim() {
    through_the_shim("dual", Requirements::Modern);
}

#[test]
fn a_legacy_server_passes_the_modern_set_over_http_where_it_is_bridged() {
    over_http("legacy", Requirements::Modern);
}

#[test]
fn a_legacy_server_passes_the_modern_set_through_the_shim_where_it_is_bridged() {
    through_the_shim("legacy", Requirements::Modern);
}

#[test]
fn a_server_elsewhere_passes_both_sets_whatever_era_it_speaks() {
    for era in ["legacy", "modern", "dual"] {
        elsewhere(era, Requirements::Legacy);
        elsewhere(era, Requirements::Modern);
    }
}

/// A server of the modern era that exai starts, and that speaks Streamable HTTP at a port of its own. One of the legacy era
/// has one session for all clients and may ask none, so the legacy set demands more of it than exai lets it do.
#[test]
fn a_modern_server_with_a_port_of_its_own_passes_both_sets() {
    let port = free_port();
    let (command, server) = (json!(program("stdio-bridge")), json!(program("suite-server")));
    let instance = Instance::new(&format!(
        "[servers.suite]\ncommand = {command}\nargs = [\"--port\", \"{port}\", {server}, \"--era\", \"modern\"]\n\
         url = \"http://127.0.0.1:{port}/mcp\"\n"
    ));
    instance.ends(0, &["start"]);
    passes("with a port", &url(&instance), Requirements::Modern);
    passes("with a port", &url(&instance), Requirements::Legacy);
}

/// Servers of the official SDKs serve the era of their first request alone, so each era needs a process.
#[test]
fn a_server_that_serves_one_era_for_each_process_passes_both_sets_over_http() {
    let instance = hosting(&["--pin"]);
    let url = url(&instance);
    passes("pinned", &url, Requirements::Legacy);
    passes("pinned", &url, Requirements::Modern);
    passes("pinned again", &url, Requirements::Legacy);
}
