//! The official conformance suite judges exai as a client of servers that run elsewhere, in either era.

use exai_test::program;
use exai_test::suite::{Requirements, Scenarios, judge_client};
use tempfile::tempdir;

#[track_caller]
fn passes(requirements: Requirements) {
    let dir = tempdir().expect("a directory");
    let client = program("suite-client");
    let verdict = judge_client(&client, requirements, Scenarios::All, dir.path());
    assert!(verdict.is_good(), "{verdict}");
}

#[test]
fn exai_passes_the_legacy_set_for_clients() {
    passes(Requirements::Legacy);
}

#[test]
fn exai_passes_the_modern_set_for_clients() {
    passes(Requirements::Modern);
}
