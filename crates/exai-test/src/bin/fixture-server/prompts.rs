//! Prompts and completion.

use serde_json::Value;

use crate::answer::{Answer, INVALID_PARAMS};
use crate::output::VENDOR;
use crate::wire::quote;

/// The words that completion offers.
const WORDS: [&str; 4] = ["alpha", "alpine", "beta", "gamma"];

/// `prompts/list`
pub(crate) fn list() -> String {
    format!(
        r#"{{"prompts":[{{"name":"plain","description":"No arguments",{VENDOR}}},{{"name":"greet","title":"Greeting","arguments":[{{"name":"who","description":"Whom to greet","required":true,{VENDOR}}},{{"name":"style","required":false}}]}}],{VENDOR}}}"#
    )
}

/// `prompts/get`
pub(crate) fn get(params: &Value) -> Answer {
    let arguments = &params["arguments"];
    let text = match params["name"].as_str().unwrap_or_default() {
        "plain" => "A plain prompt.".to_owned(),
        "greet" => {
            let who = arguments["who"]
                .as_str()
                .ok_or((INVALID_PARAMS, "the argument who is missing".to_owned()))?;
            format!("Greet {who} in style {}.", arguments["style"].as_str().unwrap_or("none"))
        }
        other => return Err((INVALID_PARAMS, format!("Unknown prompt: {other}"))),
    };
    let text = quote(&text);
    Ok(format!(
        r#"{{"description":"fixture","messages":[{{"role":"user","content":{{"type":"text","text":{text},{VENDOR}}}}}],{VENDOR}}}"#
    ))
}

/// `completion/complete`
pub(crate) fn complete(params: &Value) -> Answer {
    let prefix = params["argument"]["value"]
        .as_str()
        .ok_or((INVALID_PARAMS, "argument.value is missing".to_owned()))?;
    let values: Vec<String> = WORDS.into_iter().filter(|word| word.starts_with(prefix)).map(quote).collect();
    Ok(format!(
        r#"{{"completion":{{"values":[{}],"total":{},"hasMore":false,{VENDOR}}},{VENDOR}}}"#,
        values.join(","),
        values.len()
    ))
}
