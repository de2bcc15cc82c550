//! The tools as `tools/list` tells them. Every client pays for these bytes with every conversation: a field has a
//! description only if its name does not say it all, and bounds are checked and not told.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::catalogue::specs;
use super::read::STANCES;
use super::spec::{Field, FieldKind, Kind, Spec};

/// One tool of `tools/list`, serialised as it is there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// The name by which it is called.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The JSON Schema of its arguments.
    pub input_schema: Map<String, Value>,
    /// The JSON Schema of its structured answers.
    pub output_schema: Map<String, Value>,
    /// What clients may assume.
    pub annotations: Annotations,
}

/// `ToolAnnotations` of MCP. What is not told has the default of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// Nothing is changed.
    pub read_only_hint: bool,
    /// A repeated call has no further effect.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub idempotent_hint: bool,
    /// It reaches something outside.
    pub open_world_hint: bool,
}

/// The definitions of the tools that `is_enabled` chooses, in their usual order.
pub fn tool_definitions(is_enabled: impl Fn(&Spec) -> bool) -> Vec<Definition> {
    specs().iter().filter(|spec| is_enabled(spec)).map(definition).collect()
}

fn definition(spec: &'static Spec) -> Definition {
    Definition {
        name: &spec.name,
        title: &spec.title,
        description: &spec.description,
        input_schema: input_schema(spec),
        output_schema: output_schema(spec),
        annotations: Annotations {
            read_only_hint: spec.read_only,
            idempotent_hint: spec.idempotent,
            open_world_hint: spec.is_open_world(),
        },
    }
}

fn input_schema(spec: &Spec) -> Map<String, Value> {
    let shown = spec.fields.iter().filter(|field| !field.hidden);
    let properties: Map<String, Value> = shown.map(|field| (field.name.clone(), schema(field))).collect();
    let required: Vec<&str> =
        spec.fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    let mut input = object(properties);
    if !required.is_empty() {
        input.insert("required".to_owned(), required.into());
    }
    input
}

/// Loose on purpose: it holds for every status.
fn output_schema(spec: &Spec) -> Map<String, Value> {
    if spec.kind == Kind::Utility {
        return Map::from_iter([("type".to_owned(), "object".into())]);
    }
    let mut output = object(Map::from_iter([("status".to_owned(), json!({ "type": "string" }))]));
    output.insert("required".to_owned(), json!(["status"]));
    output
}

fn object(properties: Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), properties.into())])
}

fn schema(field: &Field) -> Value {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let mut schema = match &field.kind {
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Texts { .. } => list(json!({ "type": "string" })),
        FieldKind::Flag => json!({ "type": "boolean" }),
        FieldKind::Integer { least, .. } => json!({ "type": "integer", "minimum": least }),
        FieldKind::Real { .. } => json!({ "type": "number" }),
        FieldKind::Choice { values } => json!({ "type": "string", "enum": values }),
        FieldKind::Issues => list(json!({ "type": "object" })),
        FieldKind::Models => list(json!({
            "type": "object",
            "properties": {
                "model": { "type": "string" },
                "stance": { "type": "string", "enum": STANCES },
                "stance_prompt": { "type": "string" },
            },
            "required": ["model"],
        })),
    };
    if let Some(description) = &field.description {
        schema["description"] = description.as_str().into();
    }
    schema
}
