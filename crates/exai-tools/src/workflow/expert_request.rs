//! What a model is asked.

use serde_json::Value;

use super::limits::MAX_PART_BYTES;
use super::spec::{FieldKind, Spec, thinking_named};
use super::state::State;
use super::summary::{newest, numbered};
use crate::models::request::{Image, ModelMessage, ModelRequest, Role, Thinking};

/// What a model is asked. The caller reads the files, adds the history of the thread, and checks that all of it fits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExpertRequest {
    /// The system prompt.
    pub system: String,
    /// The text of the message, part by part.
    pub parts: Vec<Part>,
    /// The paths of the files to embed, in the order in which the agent has named them.
    pub files: Vec<String>,
    /// Paths or `data:` URLs of images.
    pub images: Vec<String>,
    /// How much the model may think.
    pub thinking: Option<Thinking>,
    /// From 0 to 1.
    pub temperature: Option<f64>,
    /// The model that the agent wants; `None` leaves it to the caller.
    pub model: Option<String>,
}

/// A part of a message with its heading; a part without one is the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The heading.
    pub title: String,
    /// The text.
    pub text: String,
}

impl ExpertRequest {
    /// The message without files.
    pub fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| match part.title.as_str() {
            "" => part.text.clone(),
            title => format!("## {title}\n\n{}", part.text),
        });
        parts.collect::<Vec<_>>().join("\n\n")
    }

    /// The request for the model: `earlier` is the history of the thread, `files` the text of the embedded files.
    pub fn to_model_request(
        &self,
        earlier: Vec<ModelMessage>,
        files: &str,
        images: Vec<Image>,
    ) -> ModelRequest {
        let mut text = self.text();
        if !files.is_empty() {
            text.push_str("\n\n## Files\n\n");
            text.push_str(files);
        }
        let mut messages = earlier;
        messages.push(ModelMessage { role: Role::User, text, images });
        ModelRequest {
            system: self.system.clone(),
            messages,
            temperature: self.temperature,
            thinking: self.thinking,
            max_output: None,
        }
    }
}

/// What the expert is asked at the end of a workflow.
pub(super) fn for_expert(spec: &Spec, state: &State) -> ExpertRequest {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<String>>();
    ExpertRequest {
        system: spec.system.clone(),
        parts: parts(spec, state),
        files: owned(state.all("relevant_files")),
        images: owned(state.all("images")),
        thinking: state.latest("thinking_mode").and_then(thinking_named).or(spec.default_thinking()),
        temperature: state.latest("temperature").and_then(Value::as_f64),
        model: state.latest("model").and_then(Value::as_str).map(str::to_owned),
    }
}

fn parts(spec: &Spec, state: &State) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |title: &str, entries: &[String], separator: &str| {
        let entries: Vec<String> = entries.iter().filter(|entry| !entry.trim().is_empty()).cloned().collect();
        if !entries.is_empty() {
            let text = newest(&entries, separator, MAX_PART_BYTES);
            parts.push(Part { title: title.to_owned(), text });
        }
    };
    add("Task", &[state.initial_request().to_owned()], "");
    add("Settings", &settings(spec, state), "\n");
    let work: Vec<(u64, &str)> =
        state.steps().iter().skip(1).map(|step| (step.number, step.text().trim())).collect();
    add("What the agent has done", &numbered(&work), "\n\n");
    add("Findings of the agent", &numbered(&state.findings()), "\n\n");
    let issues: Vec<String> = state.issues().into_iter().map(issue).collect();
    add("Issues found by the agent", &issues, "\n");
    add("Hypotheses of the agent, the last one is the present one", &numbered(&state.hypotheses()), "\n");
    let lines = |field: &str| state.all(field).iter().map(|text| format!("- {text}")).collect::<Vec<_>>();
    add("Functions and places that matter", &lines("relevant_context"), "\n");
    add("Files that the agent has examined", &lines("files_checked"), "\n");
    if state.steps().iter().any(|step| step.confidence().is_some()) {
        add("Confidence of the agent", &[state.confidence().name().to_owned()], "");
    }
    parts
}

/// The fields that are special to the tool, each with its newest value.
fn settings(spec: &Spec, state: &State) -> Vec<String> {
    let settings = spec.fields.iter().filter(|field| field.is_setting);
    settings
        .filter_map(|field| {
            let value = state.latest(&field.name)?;
            let text = match (&field.kind, value) {
                (FieldKind::Texts { .. }, Value::Array(texts)) => {
                    texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
                }
                (_, Value::String(text)) => text.clone(),
                (_, other) => other.to_string(),
            };
            (!text.is_empty()).then(|| format!("- {}: {text}", field.name.replace('_', " ")))
        })
        .collect()
}

/// An issue as a line: the severity, what is wrong, and whatever else the agent says of it.
fn issue(issue: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let field = |name: &str| issue.get(name).map(text);
    let severity = field("severity").unwrap_or_else(|| "no severity".to_owned());
    let others = issue.as_object().into_iter().flatten();
    let others = others.filter(|(name, _)| !matches!(name.as_str(), "severity" | "description"));
    let others: Vec<String> = others.map(|(name, value)| format!(" ({name}: {})", text(value))).collect();
    format!("- [{severity}] {}{}", field("description").unwrap_or_default(), others.concat())
}
