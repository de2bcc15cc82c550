//! A client of the origin's wire that was written by itself, in another language, from a description of that wire.

use exai_test::peers::origin_shim;
use serde_json::json;

use crate::support::{Instance, fixture, text};

#[test]
fn the_shim_of_the_origin_connects_unchanged_and_uses_all_tools_beside_a_modern_client() {
    let instance = Instance::new(&[fixture("ai", &[]), fixture("fix", &[])].concat());
    let mut modern = instance.client("fix");
    let pid = modern.call("pid", &json!({}));
    let output = origin_shim(instance.port(), &instance.token()).output().expect("it starts");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("as the origin"), "{out}\n{err}");
    assert_eq!(modern.call("pid", &json!({})), pid);
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers");
    for server in servers.iter().filter(|server| server["name"] != "exai") {
        assert_eq!(server["instances"].as_array().map(Vec::len), Some(1), "all clients share it: {server}");
    }
}
