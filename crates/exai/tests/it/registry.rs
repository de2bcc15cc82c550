//! Windows keeps the variables of an account in the registry. A server gets the variables that exist when it starts.

use std::process::Command;

use exai_test::eventually;
use serde_json::json;

use crate::support::{Instance, LIMIT, fixture};

/// A variable of the account, which is removed when this is dropped.
struct Variable(String);

impl Variable {
    fn new(name: String, value: &str) -> Self {
        reg(&["add", r"HKCU\Environment", "/v", &name, "/d", value, "/f"]);
        Variable(name)
    }
}

impl Drop for Variable {
    fn drop(&mut self) {
        reg(&["delete", r"HKCU\Environment", "/v", &self.0, "/f"]);
    }
}

fn reg(args: &[&str]) {
    let output = Command::new("reg").args(args).output().expect("reg.exe");
    assert!(output.status.success(), "reg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_set_while_the_daemon_runs_counts_for_servers_that_start_later() {
    let name = format!("EXAI_TEST_{}", std::process::id());
    let instance = Instance::new(&format!("{}env = {{ COPY = \"${{env:{name}}}\" }}\n", fixture("fix", &[])));
    let mut client = instance.client("fix");
    let failed = client.ask("tools/call", &json!({"name": "pid", "arguments": {}}));
    let sentence = failed["error"]["message"].as_str().unwrap_or_default();
    assert!(sentence.contains("could not be started") && sentence.contains(&name), "{failed}");
    assert_eq!(failed["error"]["data"]["hint"], "exai doctor", "{failed}");
    let doctor = instance.exai(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("setx NAME VALUE"), "{doctor:?}");

    let _variable = Variable::new(name, "set");
    // The failed server may only be started again after a moment.
    eventually("it starts", LIMIT, || {
        client.ask("tools/call", &json!({"name": "pid", "arguments": {}}))["result"].is_object()
    });
}
