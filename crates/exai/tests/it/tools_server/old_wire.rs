//! The EXAI tools over the origin's wire, beside a modern client.

use serde_json::{Value, json};

use super::scene::{SAID, call, endpoint, instance};
use crate::origin_wire::Origin;

#[test]
fn an_old_shim_lists_bare_names_and_a_modern_client_goes_on_with_its_thread() {
    let endpoint = endpoint();
    let instance = instance(&endpoint, "");
    instance.ends(0, &["start"]);
    let mut origin = Origin::join(&instance);
    origin.await_tools(&["chat", "debug"]);
    let answered = origin.call("chat", &json!({"prompt": "from the old one"}));
    assert_eq!(answered.get("error"), None, "{answered}");
    let begun: Value = serde_json::from_str(answered["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(begun["content"], SAID, "{begun}");
    let thread = &begun["continuation_id"];
    let mut modern = instance.client("ai");
    let more = call(&mut modern, "chat", &json!({"prompt": "from the new one", "continuation_id": thread}));
    assert_eq!(&more["continuation_id"], thread, "{more}");
    assert!(endpoint.chats()[1].body.to_string().contains("from the old one"));
}
