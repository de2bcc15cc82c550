//! `exai call`

use std::io::Read as _;

use exai_os::platform_hints;
use exai_proto::exit;
use serde_json::Value;
use serde_json::value::RawValue;

use super::foreign_json;
use super::talk::{self, Reply, Talk};
use crate::cli::CallArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &CallArgs, printer: &Printer) -> Result<u8, Error> {
    let arguments = match args.arguments.as_deref() {
        Some("-") => {
            let mut text = String::new();
            exai_os::streams::input()
                .read_to_string(&mut text)
                .map_err(|error| Error::failed(format!("cannot read stdin: {error}")))?;
            // PowerShell puts a byte order mark first.
            text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
        }
        Some(text) => text.to_owned(),
        None => "{}".to_owned(),
    };
    let params = params(&args.tool, &arguments)?;
    let outcome = match Talk::begin((&args.server, None), None, printer)? {
        Ok(mut talk) => talk.ask("tools/call", &params, printer)?,
        Err(error) => Err(error),
    };
    if args.json.json { show_json(&outcome, printer) } else { show(outcome, printer) }
}

/// The parameters, with the arguments as they were typed.
fn params(tool: &str, arguments: &str) -> Result<String, Error> {
    let wrong = |why: &str| {
        Error::usage(format!("the arguments must be a JSON object: {why}"))
            .hint(format!("for instance {}", platform_hints::CALL_WITH_AN_ARGUMENT))
    };
    let raw: &RawValue = serde_json::from_str(arguments).map_err(|error| wrong(&error.to_string()))?;
    if !raw.get().starts_with('{') {
        return Err(wrong("this is none"));
    }
    // A message is one line; line breaks in JSON are white space.
    let arguments = raw.get().replace(['\n', '\r'], " ");
    Ok(format!("{{\"name\":{},\"arguments\":{arguments}}}", Value::from(tool)))
}

fn show_json(outcome: &Reply, printer: &Printer) -> Result<u8, Error> {
    match outcome {
        Ok(result) => {
            printer.json_text(&String::from_utf8_lossy(result))?;
            let value: Value = foreign_json::read(result).unwrap_or_default();
            Ok(code(&value))
        }
        Err(error) => {
            printer.json_text(&format!("{{\"error\":{}}}", String::from_utf8_lossy(error)))?;
            Ok(exit::FAILED)
        }
    }
}

fn show(outcome: Reply, printer: &Printer) -> Result<u8, Error> {
    let result = outcome.map_err(|error| talk::sentence(&error))?;
    let value: Value = foreign_json::read(&result)
        .map_err(|error| Error::failed(format!("the server's result is no JSON: {error}")))?;
    printer.raw(plain(&value).as_bytes())?;
    Ok(code(&value))
}

fn code(result: &Value) -> u8 {
    if result["isError"] == Value::Bool(true) { exit::FAILED } else { exit::DONE }
}

/// A result for people: its texts as they are, the rest in a word.
fn plain(result: &Value) -> String {
    let mut text = String::new();
    for part in result["content"].as_array().into_iter().flatten() {
        text.push_str(&describe(part));
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    if text.is_empty() && !result["structuredContent"].is_null() {
        text = format!("{:#}\n", result["structuredContent"]);
    }
    text
}

fn describe(part: &Value) -> String {
    let field = |name: &str| part[name].as_str().unwrap_or_default();
    match field("type") {
        "text" => field("text").to_owned(),
        kind @ ("image" | "audio") => {
            format!("[{kind}: {}, {} characters of base64]", field("mimeType"), field("data").len())
        }
        "resource" => match part["resource"]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("[resource: {}]", part["resource"]["uri"].as_str().unwrap_or_default()),
        },
        "resource_link" => format!("[resource: {}]", field("uri")),
        _ => part.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_stay_as_they_were_typed() {
        assert_eq!(
            params("a\"b", "{ \"x\" :\n1.0 }").unwrap(),
            r#"{"name":"a\"b","arguments":{ "x" : 1.0 }}"#
        );
        assert_eq!(params("a", "[1]").unwrap_err().code(), exit::USAGE);
        assert_eq!(params("a", "{").unwrap_err().code(), exit::USAGE);
    }

    #[test]
    fn a_result_is_shown_as_text() {
        let result = json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two\n"},
            {"type": "image", "mimeType": "image/png", "data": "abcd"},
            {"type": "resource", "resource": {"uri": "x:1", "text": "three"}},
        ]});
        assert_eq!(plain(&result), "one\ntwo\n[image: image/png, 4 characters of base64]\nthree\n");
        assert_eq!(plain(&json!({"content": [], "structuredContent": {"a": 1}})), "{\n  \"a\": 1\n}\n");
    }
}
