//! One step of an investigation.

use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::bad_input::BadInput;
use super::confidence::Confidence;
use super::spec::Spec;

/// One step, as the agent has sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, from 1 on.
    pub number: u64,
    /// How many steps the agent expects: never less than `number`.
    pub total: u64,
    /// Whether the agent wants to go on: `next_step_required`, unless it asks for a quick opinion.
    pub goes_on: bool,
    /// Whether the agent wants an expert's opinion now, whatever there is to judge.
    pub is_quick: bool,
    /// The thread that the agent continues.
    pub continuation_id: Option<String>,
    /// All arguments but `continuation_id`.
    arguments: Arguments,
}

impl Step {
    /// Checks a call of a tool that has steps.
    pub fn parse(spec: &Spec, given: &Map<String, Value>) -> Result<Self, BadInput> {
        let mut arguments = Arguments::parse(spec, given)?;
        let (Some(number), Some(total), Some(goes_on)) = (
            arguments.integer("step_number"),
            arguments.integer("total_steps"),
            arguments.flag("next_step_required"),
        ) else {
            return Err(BadInput::WrongStep {
                problem: format!("`{}` has no steps.", spec.name),
                way_out: "Call the tool with the fields of its definition.".to_owned(),
            });
        };
        let is_quick = arguments.flag("quick") == Some(true);
        let continuation_id = match arguments.take("continuation_id") {
            Some(Value::String(id)) => Some(id),
            _ => None,
        };
        Ok(Self {
            number,
            total: total.max(number),
            goes_on: goes_on && !is_quick,
            is_quick,
            continuation_id,
            arguments,
        })
    }

    /// The arguments, checked. As JSON ([`Arguments::as_json`]) they are what a thread keeps of the step.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// What the agent writes: the task in step 1, later what it does.
    pub fn text(&self) -> &str {
        self.arguments.text("step").unwrap_or_default()
    }

    /// What the agent has found out; empty for tools without findings.
    pub fn findings(&self) -> &str {
        self.arguments.text("findings").unwrap_or_default()
    }

    /// How sure the agent says it is.
    pub fn confidence(&self) -> Option<Confidence> {
        self.arguments.text("confidence").and_then(Confidence::from_name)
    }

    /// The step to which the agent goes back; what came after that one does not count any more.
    pub fn backtrack_from(&self) -> Option<u64> {
        self.arguments.integer("backtrack_from_step")
    }

    /// Whether both are the same step, sent twice.
    pub(super) fn is_repeat_of(&self, other: &Step) -> bool {
        self.arguments == other.arguments
    }
}
