//! The prompts.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::call::{Call, Outcome, Question, Refusal};
use crate::content::{image, resource, text};
use crate::server::Server;

/// The result of `prompts/list`.
pub(crate) fn list(server: &Server) -> Value {
    let prompt = |name: &str, description: &str, arguments: &[&str]| {
        let argument = |name: &&str| json!({"name": name, "description": "A text", "required": true});
        let arguments: Vec<Value> = arguments.iter().map(argument).collect();
        json!({"name": name, "description": description, "arguments": arguments})
    };
    let mut prompts = vec![
        prompt("test_simple_prompt", "A prompt without arguments", &[]),
        prompt("test_prompt_with_arguments", "A prompt with two arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", "A prompt with a resource", &["resourceUri"]),
        prompt("test_prompt_with_image", "A prompt with an image", &[]),
        prompt("test_input_required_result_prompt", "A prompt that asks the user", &[]),
    ];
    if server.more_prompts.load(Ordering::Relaxed) {
        prompts.push(prompt("test_added_prompt", "Was added", &[]));
    }
    json!({"prompts": prompts})
}

/// Answers `prompts/get`.
pub(crate) fn get(call: &Call) -> Outcome {
    let name = call.params["name"].as_str().unwrap_or_default();
    let contents = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (call.argument("arg1"), call.argument("arg2"));
            vec![text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            resource(call.argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
        "test_input_required_result_prompt" => {
            let schema = json!({"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]});
            let params = json!({"message": "What context should the prompt use?", "requestedSchema": schema});
            let answer = call.ask(Question { key: "user_context", method: "elicitation/create", params })?;
            vec![text(&format!("The context is {}", answer["content"]["context"]))]
        }
        "test_added_prompt" => vec![text("I was added.")],
        _ => return Err(Refusal::invalid(&format!("no prompt is named {name}"))),
    };
    let message = |content| json!({"role": "user", "content": content});
    Ok(json!({"messages": contents.into_iter().map(message).collect::<Vec<Value>>()}))
}
