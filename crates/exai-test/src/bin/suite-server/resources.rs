//! The resources.

use serde_json::{Value, json};

use crate::call::{Call, Outcome, Question, Refusal};
use crate::content::PNG;
use crate::options::Era;

const TEMPLATE: (&str, &str) = ("test://template/", "/data");

/// The result of `resources/list`.
pub(crate) fn list() -> Value {
    let resource = |uri: &str, name: &str, mime: &str| json!({"uri": uri, "name": name, "description": name, "mimeType": mime});
    json!({"resources": [
        resource("test://static-text", "A text", "text/plain"),
        resource("test://static-binary", "An image", "image/png"),
        resource("test://watched-resource", "A resource to subscribe to", "text/plain"),
        resource("test://asking-resource", "A resource that asks the user", "text/plain"),
    ]})
}

/// The result of `resources/templates/list`.
pub(crate) fn templates() -> Value {
    let uri = format!("{}{{id}}{}", TEMPLATE.0, TEMPLATE.1);
    let name = "Data by number";
    json!({"resourceTemplates": [
        {"uriTemplate": uri, "name": name, "description": name, "mimeType": "application/json"},
    ]})
}

/// Answers `resources/read`.
pub(crate) fn read(call: &Call) -> Outcome {
    let uri = call.params["uri"].as_str().unwrap_or_default();
    let text = |mime: &str, text: &str| json!({"uri": uri, "mimeType": mime, "text": text});
    let content = match uri {
        "test://static-text" => text("text/plain", "This is the content of the static text resource."),
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
        "test://watched-resource" => text("text/plain", "Somebody watches this."),
        "test://asking-resource" => {
            let schema =
                json!({"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]});
            let params = json!({"message": "Which word?", "requestedSchema": schema});
            let answer = call.ask(Question { key: "word", method: "elicitation/create", params })?;
            text("text/plain", &answer["content"]["word"].to_string())
        }
        _ => {
            let id = uri.strip_prefix(TEMPLATE.0).and_then(|rest| rest.strip_suffix(TEMPLATE.1));
            let id = id.ok_or_else(|| not_found(call.era, uri))?;
            let data =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string();
            text("application/json", &data)
        }
    };
    Ok(json!({"contents": [content]}))
}

fn not_found(era: Era, uri: &str) -> Refusal {
    let code = if era == Era::Modern { -32602 } else { -32002 };
    Refusal::Error { code, message: "Resource not found".to_owned(), data: Some(json!({"uri": uri})) }
}
