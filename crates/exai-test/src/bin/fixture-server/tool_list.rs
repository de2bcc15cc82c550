//! `tools/list`.

use serde_json::Value;

use crate::answer::{Answer, INVALID_PARAMS};
use crate::output::VENDOR;
use crate::server::Server;
use crate::wire::quote;

const READ_ONLY: &str = r#""readOnlyHint":true,"#;
/// Says expressly what a tool without annotations leaves open: a second call does more than the first.
const NOT_TWICE: &str =
    r#""readOnlyHint":false,"destructiveHint":false,"idempotentHint":false,"openWorldHint":false,"#;
const PLAIN: &str = "";

/// For each tool: the name, the description, the arguments as `name:type`, and extra annotations.
const TOOLS: [(&str, &str, &str, &str); 28] = [
    ("echo", "Answers with the message", "message:string", READ_ONLY),
    ("delay", "Answers with the message after ms", "ms:integer message:string", PLAIN),
    ("look", "The same, and changes nothing", "ms:integer message:string", READ_ONLY),
    ("nonce", "Answers with the nonce after a random time", "nonce:string max_delay_ms:integer", READ_ONLY),
    ("append", "Appends to --ledger, and answers with the message", "message:string", NOT_TWICE),
    ("progress", "Reports each step, then answers", "steps:integer ms:integer", PLAIN),
    ("log", "Sends a log message, if the level is wanted", "level:string text:string", PLAIN),
    ("params", "Answers with the text of its params, as received", "", PLAIN),
    ("pid", "The process id of the server", "", READ_ONLY),
    ("env", "A variable of the server's environment", "name:string", READ_ONLY),
    ("cwd", "The working directory of the server", "", READ_ONLY),
    ("ask_sampling", "Asks the client's model", "prompt:string", PLAIN),
    ("ask_elicitation", "Asks the person", "message:string", PLAIN),
    ("ask_roots", "Asks for the client's roots", "", PLAIN),
    ("change_tools", "Adds a tool and says so", "", PLAIN),
    ("change_prompts", "Says that the prompts changed", "", PLAIN),
    ("change_resources", "Says that the resources changed", "", PLAIN),
    ("touch_resource", "Says that a resource changed, to subscribers", "uri:string", PLAIN),
    ("big", "A text of so many bytes", "bytes:integer", READ_ONLY),
    ("fail", "A result with isError", "message:string", PLAIN),
    ("error", "A JSON-RPC error", "code:integer message:string", PLAIN),
    ("die", "Ends the server without an answer", "code:integer", r#""destructiveHint":true,"#),
    ("hang", "Never answers", "label:string", PLAIN),
    ("flood", "Bytes on stdout without a newline", "bytes:integer", PLAIN),
    ("cancelled", "The calls that were cancelled", "", READ_ONLY),
    ("calls", "How many calls came in, this one included", "", READ_ONLY),
    ("reset", "Forgets added tools, cancelled calls, the count and the level", "", PLAIN),
    ("subscriptions", "The resources subscribed to", "", READ_ONLY),
];

/// The current tools, in pages if `--tools-per-page` asks for them.
pub(crate) fn list(server: &Server, params: &Value) -> Answer {
    if let Some(file) = &server.options.tools {
        return Ok(std::fs::read_to_string(file).expect("the file can be read"));
    }
    let extra = server.state().extra_tools;
    let mut tools: Vec<String> = TOOLS.iter().map(|tool| describe(*tool)).collect();
    tools.extend(
        (1..=extra).map(|number| describe((&format!("extra_{number}"), "Added while it ran", "", PLAIN))),
    );
    if let Some(cursor) = &server.options.same_cursor {
        return Ok(format!(r#"{{"tools":[{}],"nextCursor":{},{VENDOR}}}"#, tools.join(","), quote(cursor)));
    }
    let start = match &params["cursor"] {
        Value::Null => 0,
        cursor => cursor
            .as_str()
            .and_then(|text| text.strip_prefix("tools-from-")?.parse::<usize>().ok())
            .filter(|start| *start < tools.len())
            .ok_or_else(|| (INVALID_PARAMS, format!("Unknown cursor: {cursor}")))?,
    };
    let end = server.options.tools_per_page.map_or(tools.len(), |page| tools.len().min(start + page));
    let more = if end < tools.len() { format!(r#""nextCursor":"tools-from-{end}","#) } else { String::new() };
    Ok(format!(r#"{{"tools":[{}],{more}{VENDOR}}}"#, tools[start..end].join(",")))
}

/// Whether a tool of that name exists at this moment.
pub(crate) fn exists(server: &Server, name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.0 == name)
        || name
            .strip_prefix("extra_")
            .and_then(|number| number.parse::<usize>().ok())
            .is_some_and(|number| (1..=server.state().extra_tools).contains(&number))
}

fn describe((name, description, arguments, annotations): (&str, &str, &str, &str)) -> String {
    let properties: Vec<String> = arguments
        .split_whitespace()
        .filter_map(|argument| argument.split_once(':'))
        .map(|(name, kind)| format!(r#""{name}":{{"type":"{kind}",{VENDOR}}}"#))
        .collect();
    format!(
        r#"{{"name":"{name}","title":"Fixture {name}","description":"{description}","inputSchema":{{"type":"object","properties":{{{}}},{VENDOR}}},"annotations":{{{annotations}{VENDOR}}},"execution":{{"taskSupport":"forbidden"}},"_meta":{{"k":1.0}},{VENDOR}}}"#,
        properties.join(",")
    )
}
