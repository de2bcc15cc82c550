//! What a tool is, as its file in `specs/` says it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::confidence::Confidence;
use crate::models::request::Thinking;

/// One tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name by which it is called.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// One sentence for the agent that chooses a tool.
    pub description: String,
    /// What a call does.
    pub kind: Kind,
    /// Whether it is offered by default.
    pub ring: Ring,
    /// Whether calls may ask a model, which may cost something.
    #[serde(default)]
    pub asks_model: bool,
    /// When the expert is asked at the end of a workflow.
    #[serde(default)]
    pub(super) expert: ExpertRule,
    /// How much a model may think if the call does not say it.
    #[serde(default)]
    thinking: Option<ThinkingName>,
    /// Whether a call leaves everything as it is, but for the thread.
    #[serde(default = "yes")]
    pub read_only: bool,
    /// Whether a repeated call has no further effect and costs nothing.
    #[serde(default)]
    pub idempotent: bool,
    /// Whether a call reaches others, though it asks no model.
    #[serde(default)]
    pub(super) open_world: bool,
    /// Other names that the tool is called by: tools of the origin that it replaces.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Values of fields that say, as `use_assistant_model = false` does, that no expert is wanted.
    #[serde(default)]
    pub(super) local_when: BTreeMap<String, String>,
    /// The fields as they are written; see [`Spec::fields`].
    #[serde(rename = "fields")]
    pub(super) entries: Vec<Entry>,
    /// What the agent has to do before its next step.
    #[serde(default)]
    pub(super) actions: Actions,
    /// What takes the place of `actions` and `done`, by the value of `trace_mode`.
    #[serde(default)]
    pub(super) modes: BTreeMap<String, Mode>,
    /// What the agent has to do when the work is complete.
    #[serde(default)]
    pub(super) done: String,
    /// What the agent has to consider when it has an expert's analysis.
    #[serde(default)]
    pub(super) considerations: String,
    /// The arguments, in the order of the definition.
    #[serde(skip)]
    pub fields: Vec<Field>,
    /// The system prompt of the model.
    #[serde(skip)]
    pub system: String,
}

impl Spec {
    /// The field of this name, if the tool has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether a call reaches something outside this computer's own files.
    pub fn is_open_world(&self) -> bool {
        self.asks_model || self.open_world
    }

    /// How much a model may think if the call does not say it.
    pub(super) fn default_thinking(&self) -> Option<Thinking> {
        self.thinking.map(ThinkingName::thinking)
    }
}

/// What a call of a tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It asks a model at once.
    Simple,
    /// The agent investigates in steps; a model is asked at the end.
    Workflow,
    /// It asks several models side by side.
    Consensus,
    /// The agent works in steps; no model is asked.
    Notebook,
    /// The server answers by itself.
    Utility,
}

/// How common a tool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    /// Offered by default.
    First,
    /// Offered if the configuration says so.
    Second,
}

/// When the expert is asked at the end of a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExpertRule {
    /// Never.
    #[default]
    Never,
    /// If there is something to judge and the agent is not certain. See `engine.rs`.
    UnlessCertain,
}

/// What the agent has to do before its next step: after step 1, and from each confidence on.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Actions {
    #[serde(default)]
    first: Vec<String>,
    #[serde(flatten)]
    from: BTreeMap<Confidence, Vec<String>>,
}

impl Actions {
    /// The actions after the step with this number.
    pub(super) fn after(&self, step_number: u64, confidence: Confidence) -> &[String] {
        let later = self.from.range(..=confidence).next_back();
        match later {
            Some((_, actions)) if step_number > 1 => actions,
            _ => &self.first,
        }
    }
}

/// What an agent has to do in one mode of a tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mode {
    pub(super) actions: Actions,
    pub(super) done: String,
}

/// One entry of `fields` in a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// `name` or `name*` (required): a field of `shared.json`; `@name`: a set of them.
    Shared(String),
    /// A field of this tool alone.
    Own(Field),
}

/// One argument of a tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it may be.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// Whether every call must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether a text may have nothing but white space.
    #[serde(default)]
    pub(super) may_be_empty: bool,
    /// Whether it is accepted, and not in the definition.
    #[serde(default)]
    pub(super) hidden: bool,
    /// For the agent, if the name does not say it all.
    #[serde(default)]
    pub description: Option<String>,
    /// Other names of it.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// Whether it says how the tool has to go about its work, so that the model must know it.
    #[serde(skip)]
    pub(super) is_setting: bool,
}

/// What an argument may be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldKind {
    /// A text.
    Text,
    /// A list of texts.
    Texts {
        /// The longest entry in bytes, if it is not the usual bound.
        #[serde(default)]
        most_bytes: Option<usize>,
    },
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A number from 0 on.
    Real {
        /// The most.
        most: f64,
    },
    /// One of these words.
    Choice {
        /// The words.
        values: Vec<String>,
    },
    /// A list of objects, each with `severity` and `description`.
    Issues,
    /// A list of objects, each with `model`, `stance` and `stance_prompt`.
    Models,
}

/// The word for a [`Thinking`] in specs and in `thinking_mode`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ThinkingName {
    Minimal,
    Low,
    Medium,
    High,
    Max,
}

impl ThinkingName {
    fn thinking(self) -> Thinking {
        match self {
            ThinkingName::Minimal => Thinking::Minimal,
            ThinkingName::Low => Thinking::Low,
            ThinkingName::Medium => Thinking::Medium,
            ThinkingName::High => Thinking::High,
            ThinkingName::Max => Thinking::Max,
        }
    }
}

/// How much a model may think, as `thinking_mode` has it.
pub(super) fn thinking_named(value: &Value) -> Option<Thinking> {
    ThinkingName::deserialize(value).ok().map(ThinkingName::thinking)
}

fn yes() -> bool {
    true
}
