//! The form of the document, and the pages that explain its findings.

use std::path::Path;

use serde_json::json;

use super::{doctor, stopped};
use crate::support::text;
use crate::user_home::lead_home;

#[test]
fn the_document_has_its_shape_and_the_text_its_verdict() {
    let instance = stopped();
    std::fs::write(instance.home().join("config.toml"), "[daemon]\nprot = 1\n").expect("config.toml");
    let (document, _) = doctor(&instance);
    assert_eq!((&document["schema"], &document["ok"]), (&json!(1), &json!(false)));
    for check in document["checks"].as_array().expect("checks") {
        let keys: Vec<&String> = check.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["detail", "fix", "id", "status"]);
        assert!(check["fix"].is_null() || check["fix"].is_string());
        let status = check["status"].as_str().expect("a status");
        assert!(["pass", "warn", "fail", "skip"].contains(&status));
        assert!(!check["detail"].as_str().expect("a sentence").is_empty());
    }
    let mut command = instance.command(&["doctor"]);
    lead_home(&mut command, &instance.dir().join("user"));
    let output = command.output().expect("exai runs");
    assert_eq!(output.status.code(), Some(6));
    let said = text(&output.stdout);
    let mut lines = said.lines();
    let verdict = lines.next().expect("a verdict");
    assert!(verdict.starts_with("exai: 1 problem"), "{said}");
    let first = lines.next().expect("the problem");
    assert!(first.starts_with("fail  config ") && first.contains(":2:"), "problems come first: {said}");
    assert!(lines.next().is_some_and(|line| line.contains("fix")), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn every_check_and_every_finding_has_its_section_in_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = std::fs::read_to_string(root.join("docs/troubleshooting.md")).expect("the document");
    let has = |id: &str| {
        guide.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == id)
    };
    let (document, _) = doctor(&stopped());
    let checks = document["checks"].as_array().expect("checks");
    let mut ids: Vec<String> =
        checks.iter().map(|check| check["id"].as_str().expect("an id").to_owned()).collect();
    for file in ["crates/exai-daemon/src", "crates/exai/src/commands/status.rs"] {
        findings_in(&root.join(file), &mut ids);
    }
    assert!(
        ["port-held", "server-failed", "record-stale"].iter().all(|id| ids.iter().any(|known| known == id))
    );
    // The kinds of `exai_proto::documents::Unexpected`.
    for kind in ["second-daemon", "left-over", "escaped", "unknown-shim", "too-many"] {
        ids.push(format!("unexpected-{kind}"));
    }
    let missing: Vec<&String> = ids.iter().filter(|id| !has(id)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks {missing:?}");
}

/// The ids of findings that the source holds in the forms `id: "x".to_owned()` and `finding("x", …)`.
fn findings_in(path: &Path, ids: &mut Vec<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory").flatten() {
            findings_in(&entry.path(), ids);
        }
        return;
    }
    let source = std::fs::read_to_string(path).expect("a source file");
    for start in ["id: \"", "finding(\""] {
        for (at, _) in source.match_indices(start) {
            let rest = &source[at + start.len()..];
            let id = rest.split('"').next().unwrap_or_default();
            if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
                ids.push(id.to_owned());
            }
        }
    }
}
