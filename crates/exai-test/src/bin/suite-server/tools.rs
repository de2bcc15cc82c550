//! The tools.

#![expect(clippy::unnecessary_wraps, reason = "each tool has the form of one that can fail")]

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use crate::asking_tools as asking;
use crate::call::{Call, Outcome, Refusal, work};
use crate::content::{audio, image, resource, said, text};
use crate::options::Era;
use crate::server::{Change, Server};

struct Tool {
    name: &'static str,
    description: &'static str,
    /// The names of the arguments, each a required string.
    arguments: &'static [&'static str],
    run: fn(&Call) -> Outcome,
}

const fn tool(
    name: &'static str,
    description: &'static str,
    arguments: &'static [&'static str],
    run: fn(&Call) -> Outcome,
) -> Tool {
    Tool { name, description, arguments, run }
}

/// Those that the suite calls, and a few that only tests of exai call.
const TOOLS: &[Tool] = &[
    tool("test_simple_text", "Says a text", &[], |_| {
        said_text("This is a simple text response for testing.")
    }),
    tool("test_image_content", "Shows an image", &[], |_| Ok(said(&[image()]))),
    tool("test_audio_content", "Plays a sound", &[], |_| Ok(said(&[audio()]))),
    tool("test_embedded_resource", "Shows a resource", &[], embedded_resource),
    tool("test_multiple_content_types", "Shows contents of several types", &[], several_contents),
    tool("test_error_handling", "Fails", &[], |_| {
        Err(Refusal::Failed("This tool intentionally returns an error for testing".to_owned()))
    }),
    tool("test_tool_with_progress", "Tells its progress", &[], with_progress),
    tool("test_until_cancelled", "Tells its progress, and does not end before it is cancelled", &[], hang),
    tool("test_tool_with_logging", "Logs what it does", &[], with_logging),
    tool("test_logging_tool", "Logs what it does", &[], with_logging),
    tool(
        "test_missing_capability",
        "Asks the client's model, which needs sampling",
        &[],
        asking::capital_regardless,
    ),
    tool("test_trigger_tool_change", "Adds a tool, or takes it away again", &[], |call| {
        call.server.more_tools.fetch_not(Ordering::Relaxed);
        changed(call, &Change::Tools)
    }),
    tool("test_trigger_prompt_change", "Adds a prompt, or takes it away again", &[], |call| {
        call.server.more_prompts.fetch_not(Ordering::Relaxed);
        changed(call, &Change::Prompts)
    }),
    tool("test_trigger_resource_change", "Says that the list of resources has changed", &[], |call| {
        changed(call, &Change::Resources)
    }),
    tool("test_trigger_resource_update", "Says that a resource has changed", &["uri"], |call| {
        changed(call, &Change::Resource(call.argument("uri").to_owned()))
    }),
    tool("test_end_subscriptions", "Ends all subscriptions of modern clients", &[], |call| {
        call.server.end_listens();
        said_text("No subscriptions are left.")
    }),
    tool("test_header_argument", "Says an argument that HTTP repeats in a header", &["region"], |call| {
        said_text(call.argument("region"))
    }),
    tool("json_schema_2020_12_tool", "Has a schema of many keywords", &[], |_| said_text("Nothing to do.")),
    tool("test_sampling", "Asks the client's model", &["prompt"], asking::sampling),
    tool("test_elicitation", "Asks the user", &["message"], asking::elicitation),
    tool("test_elicitation_sep1034_defaults", "Asks with default values", &[], asking::defaults),
    tool("test_elicitation_sep1330_enums", "Asks with enumerations", &[], asking::enums),
    tool("test_streaming_elicitation", "Tells its progress, then asks the user", &[], asking::streaming),
    tool("test_input_required_result_elicitation", "Asks for a name", &[], asking::name),
    tool("test_input_required_result_sampling", "Asks the client's model", &[], asking::capital),
    tool("test_input_required_result_list_roots", "Asks for the roots", &[], asking::roots),
    tool("test_input_required_result_request_state", "Asks and keeps a state", &[], asking::with_state),
    tool("test_input_required_result_multiple_inputs", "Asks for three things at once", &[], asking::three),
    tool("test_input_required_result_multi_round", "Asks twice", &[], asking::twice),
    tool("test_input_required_result_tampered_state", "Asks and keeps a state", &[], asking::with_state),
    tool(
        "test_input_required_result_capabilities",
        "Asks for what the client can do",
        &[],
        asking::what_it_can,
    ),
];

/// What `test_trigger_tool_change` adds.
const CHANGED: Tool = tool("test_added_tool", "Was added", &[], |_| said_text("I was added."));
/// What `--differ` adds in each era.
const LEGACY_ONLY: Tool =
    tool("test_legacy_only", "Exists in the legacy era", &[], |_| said_text("legacy only"));
const MODERN_ONLY: Tool =
    tool("test_modern_only", "Exists in the modern era", &[], |_| said_text("modern only"));

fn offered(server: &Server, era: Era) -> impl Iterator<Item = &'static Tool> {
    let more = server.more_tools.load(Ordering::Relaxed).then_some(&CHANGED);
    let own = if era == Era::Modern { &MODERN_ONLY } else { &LEGACY_ONLY };
    TOOLS.iter().chain(more).chain(server.options.differ.then_some(own))
}

/// The result of `tools/list`.
pub(crate) fn list(server: &Server, era: Era) -> Value {
    let described = |tool: &Tool| json!({"name": tool.name, "description": tool.description, "inputSchema": schema(tool)});
    json!({"tools": offered(server, era).map(described).collect::<Vec<_>>()})
}

/// Answers `tools/call`.
pub(crate) fn run(call: &Call) -> Outcome {
    let name = call.params["name"].as_str().unwrap_or_default();
    let tool = offered(&call.server, call.era).find(|tool| tool.name == name);
    let tool = tool.ok_or_else(|| Refusal::invalid(&format!("no tool is named {name}")))?;
    match (tool.run)(call) {
        Err(Refusal::Failed(why)) => Ok(json!({"content": [text(&why)], "isError": true})),
        outcome => outcome,
    }
}

fn schema(tool: &Tool) -> Value {
    match tool.name {
        "json_schema_2020_12_tool" => schema_of_many_keywords(),
        "test_header_argument" => json!({
            "type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
            "required": ["region"],
        }),
        _ => {
            let properties: Map<String, Value> =
                tool.arguments.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
            json!({"type": "object", "properties": properties, "required": tool.arguments})
        }
    }
}

fn schema_of_many_keywords() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

fn said_text(what: &str) -> Outcome {
    Ok(said(&[text(what)]))
}

fn embedded_resource(_: &Call) -> Outcome {
    Ok(said(&[resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]))
}

fn several_contents(_: &Call) -> Outcome {
    let json = json!({"test": "data", "value": 123}).to_string();
    let resource = resource("test://mixed-content-resource", "application/json", &json);
    Ok(said(&[text("Multiple content types test:"), image(), resource]))
}

fn with_progress(call: &Call) -> Outcome {
    call.progress(0, 100);
    work();
    call.progress(50, 100);
    work();
    call.progress(100, 100);
    said_text("The progress was told.")
}

fn hang(call: &Call) -> Outcome {
    call.progress(0, 100);
    while call.server.is_open(&call.id) {
        work();
    }
    said_text("Nobody hears this.")
}

fn with_logging(call: &Call) -> Outcome {
    call.log("info", "Tool execution started");
    work();
    call.log("info", "Tool processing data");
    work();
    call.log("info", "Tool execution completed");
    said_text("The messages were logged.")
}

fn changed(call: &Call, change: &Change) -> Outcome {
    call.server.tell(change);
    said_text("It has changed.")
}
