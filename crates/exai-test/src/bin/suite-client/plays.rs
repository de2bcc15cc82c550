//! What a client does in each scenario.

use serde_json::{Map, Value, json};

use crate::client::{Client, accept, require_text};
use crate::common::Outcome;

/// A client's part, played once the client has begun. The value is the scenario's context.
pub(crate) type Play = fn(&mut Client, &Value) -> Outcome;

/// The play of a scenario; `None` for one that this client cannot play.
pub(crate) fn find(scenario: &str) -> Option<Play> {
    let play: Play = match scenario {
        // These servers have no tools, and look at the way in which they are asked.
        "initialize" | "request-metadata" => |client, _| client.ask("tools/list", json!({})).map(drop),
        "tools_call" => add_numbers,
        "elicitation-sep1034-client-defaults" => take_defaults,
        "sse-retry" => call_over_a_broken_stream,
        "http-standard-headers" => ask_for_everything,
        "http-custom-headers" => call_as_told,
        "http-invalid-tool-headers" => call_all_that_is_offered,
        "sep-2322-client-request-state" => answer_questions,
        "json-schema-ref-no-deref" => |client, _| tools(client).map(drop),
        _ => return None,
    };
    Some(play)
}

/// All tools that are offered.
fn tools(client: &mut Client) -> Outcome<Vec<Value>> {
    let mut result = client.ask("tools/list", json!({}))?;
    match result["tools"].take() {
        Value::Array(tools) if !tools.is_empty() => Ok(tools),
        _ => Err("no tools are offered".to_owned()),
    }
}

fn add_numbers(client: &mut Client, _: &Value) -> Outcome {
    tools(client)?;
    client.call("add_numbers", &json!({"a": 5, "b": 3}), "The sum of 5 and 3 is 8")
}

fn take_defaults(client: &mut Client, _: &Value) -> Outcome {
    tools(client)?;
    client.ask("tools/call", json!({"name": "test_client_elicitation_defaults", "arguments": {}})).map(drop)
}

fn call_over_a_broken_stream(client: &mut Client, _: &Value) -> Outcome {
    tools(client)?;
    client.call("test_reconnection", &json!({}), "Reconnection test completed successfully")
}

fn ask_for_everything(client: &mut Client, _: &Value) -> Outcome {
    for tool in tools(client)? {
        client.call(tool["name"].as_str().unwrap_or_default(), &json!({}), "Headers test completed")?;
    }
    let resources = client.ask("resources/list", json!({}))?;
    for resource in resources["resources"].as_array().ok_or("no resources are offered")? {
        client.ask("resources/read", json!({"uri": resource["uri"]}))?;
    }
    let prompts = client.ask("prompts/list", json!({}))?;
    for prompt in prompts["prompts"].as_array().ok_or("no prompts are offered")? {
        client.ask("prompts/get", json!({"name": prompt["name"]}))?;
    }
    Ok(())
}

fn call_as_told(client: &mut Client, context: &Value) -> Outcome {
    tools(client)?;
    for call in context["toolCalls"].as_array().ok_or("the context tells of no calls")? {
        let tool = call["name"].as_str().unwrap_or_default();
        client.call(tool, &call["arguments"], "Custom headers test completed")?;
    }
    Ok(())
}

fn call_all_that_is_offered(client: &mut Client, _: &Value) -> Outcome {
    for tool in tools(client)? {
        let properties = tool["inputSchema"]["properties"].as_object();
        let arguments: Map<String, Value> =
            properties.into_iter().flatten().map(|(name, _)| (name.clone(), json!("us-west1"))).collect();
        client.ask("tools/call", json!({"name": tool["name"], "arguments": arguments}))?;
    }
    Ok(())
}

/// Each tool asks for something in its result, and gets it with the next request. Between the two comes another call.
fn answer_questions(client: &mut Client, _: &Value) -> Outcome {
    tools(client)?;
    for (tool, expected) in [("test_mrtr_echo_state", "echo-state-ok"), ("test_mrtr_no_state", "no-state-ok")]
    {
        let asked = client.ask("tools/call", json!({"name": tool, "arguments": {}}))?;
        if asked["resultType"] != "input_required" {
            return Err(format!("{tool} should ask for something: {asked}"));
        }
        client.call("test_mrtr_unrelated", &json!({}), "unrelated-ok")?;
        let questions = asked["inputRequests"].as_object().into_iter().flatten();
        let answers: Map<String, Value> =
            questions.map(|(key, question)| (key.clone(), accept(question))).collect();
        let mut params = json!({"name": tool, "arguments": {}, "inputResponses": answers});
        if let Some(state) = asked.get("requestState") {
            params["requestState"] = state.clone();
        }
        let result = client.ask("tools/call", params)?;
        require_text(tool, &result, expected)?;
    }
    client.call("test_mrtr_no_result_type", &json!({}), "no-result-type-test-ok")
}
