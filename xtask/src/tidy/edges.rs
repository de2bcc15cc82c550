//! The allowed dependencies of each crate.

use std::fs;

use serde_json::Value;

use super::source::relative;
use crate::{process, project};

/// Each crate, and the crates of this workspace on which it may depend. This is the table of ARCHITECTURE.md as code:
/// change both, and say why.
const EDGES: &[(&str, &[&str])] = &[
    (
        "exai",
        &[
            "exai-auth",
            "exai-client",
            "exai-config",
            "exai-daemon",
            "exai-mux",
            "exai-os",
            "exai-proto",
            "exai-setup",
            "exai-supervisor",
            "exai-tools",
        ],
    ),
    ("exai-auth", &["exai-config", "exai-net", "exai-os"]),
    ("exai-client", &["exai-config", "exai-os", "exai-proto"]),
    ("exai-config", &["exai-os"]),
    (
        "exai-daemon",
        &["exai-auth", "exai-config", "exai-mux", "exai-net", "exai-os", "exai-proto", "exai-supervisor"],
    ),
    ("exai-mux", &["exai-proto"]),
    ("exai-net", &["exai-os"]),
    ("exai-os", &[]),
    ("exai-proto", &[]),
    ("exai-setup", &["exai-config"]), // for its tests alone
    ("exai-supervisor", &["exai-os", "exai-proto"]),
    ("exai-test", &["exai-client", "exai-config", "exai-os", "exai-proto"]),
    ("exai-tools", &["exai-config", "exai-net", "exai-os", "exai-proto"]),
    ("xtask", &[]),
];

/// Foreign crates that only some crates may use, even in tests and build scripts.
const WALLS: &[(&[&str], &[&str], &str)] = &[
    (&["libc", "nix", "rustix", "windows", "windows-sys"], &["exai-os"], "it is the platform wall"),
    (&["axum", "tower"], &["exai-daemon"], "only the daemon serves HTTP"),
    (&["hyper", "hyper-util"], &["exai-auth", "exai-daemon", "exai-net", "exai-tools"], "they speak HTTP"),
    (&["oauth2"], &["exai-auth"], "it signs in"),
    (&["hyper-rustls", "tokio-rustls"], &["exai-net"], "it makes the connections to other machines"),
    (&["clap"], &["exai", "xtask"], "only the binary has a command line"),
];

/// Crates that the pure core may not use: runtimes, clocks, the network.
const NOT_IN_THE_CORE: [&str; 8] =
    ["async-std", "futures-util", "mio", "smol", "tokio", "tokio-util", "jiff", "getrandom"];
const CORE: [&str; 2] = ["exai-mux", "exai-proto"];

/// The problems found in the manifests.
pub(super) fn check() -> Result<Vec<String>, String> {
    let text = process::output(project::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            problems.extend(edge(name, dependency).map(|why| format!("{name}: {why}")));
        }
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if !inherits_lints(manifest) {
            problems.push(format!("{}: `[lints] workspace = true` is missing", relative(manifest)));
        }
    }
    Ok(problems)
}

/// The problem of one dependency of the crate `name`, if there is one.
fn edge(name: &str, dependency: &Value) -> Option<String> {
    let on = dependency["name"].as_str().unwrap_or_default();
    let is_dev = dependency["kind"] == "dev";
    if dependency["path"].is_string() {
        let allowed = EDGES.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        let Some(allowed) = allowed else {
            return Some("is not in the table of xtask/src/tidy/edges.rs".to_owned());
        };
        // The tests of the binary see the whole system, and the tests of every crate may use the test crate.
        let excused = is_dev && (name == "exai" || on == "exai-test");
        return (!allowed.contains(&on) && !excused).then(|| format!("must not depend on {on}"));
    }
    let wall = WALLS.iter().find(|(crates, allowed, _)| crates.contains(&on) && !allowed.contains(&name));
    if let Some((_, allowed, why)) = wall {
        return Some(format!("must not depend on {on}: that belongs to {} ({why})", allowed.join(" and ")));
    }
    if CORE.contains(&name) && NOT_IN_THE_CORE.contains(&on) && !is_dev {
        return Some(format!("must not depend on {on}: it is pure, without runtime, clock or I/O"));
    }
    (dependency["target"].is_string() && name != "exai-os")
        .then(|| format!("must not depend on {on} for some platforms only: that belongs to exai-os"))
}

fn inherits_lints(manifest: &str) -> bool {
    let table = fs::read_to_string(manifest).ok().and_then(|text| text.parse::<toml::Table>().ok());
    table.is_some_and(|table| {
        table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
            == Some(true)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edges_follow_the_table() {
        let inside = |on: &str, kind: Value| json!({"name": on, "kind": kind, "path": "/x"});
        assert_eq!(edge("exai-daemon", &inside("exai-mux", Value::Null)), None);
        assert_eq!(
            edge("exai-client", &inside("exai-daemon", Value::Null)).as_deref(),
            Some("must not depend on exai-daemon")
        );
        assert_eq!(edge("exai-mux", &inside("exai-test", json!("dev"))), None);
        assert!(edge("exai-new", &inside("exai-os", Value::Null)).is_some());
    }

    #[test]
    fn walls_hold() {
        let outside = |on: &str| json!({"name": on, "kind": null});
        assert!(edge("exai-mux", &outside("tokio")).is_some());
        assert!(edge("exai-daemon", &outside("rustix")).is_some());
        assert_eq!(edge("exai-os", &outside("rustix")), None);
        assert!(edge("exai-daemon", &json!({"name": "x", "kind": null, "target": "cfg(unix)"})).is_some());
    }
}
