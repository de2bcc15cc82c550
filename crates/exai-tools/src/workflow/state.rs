//! What the steps of an investigation have led to so far.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::confidence::Confidence;
use super::spec::Spec;
use super::step::Step;

/// The steps of one tool in one thread that count, oldest first.
///
/// A step 1 begins anew. A step that goes back drops what came after the step to which it goes. The same step again
/// changes nothing, so that it does not matter whether a client repeats a call or a caller adds a step twice. Anything
/// else is added, in whatever order it comes: two different steps with one number are both kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    steps: Vec<Step>,
    /// How many steps of the thread could not be read.
    unreadable: usize,
}

impl State {
    /// The state after these steps of a thread, each as the JSON of its arguments, oldest first. A step that cannot be
    /// read, such as one of another version, is counted and left out.
    pub fn fold<'a>(spec: &Spec, earlier: impl IntoIterator<Item = &'a Map<String, Value>>) -> Self {
        let mut state = Self::default();
        for arguments in earlier {
            match Step::parse(spec, arguments) {
                Ok(step) => state.add(step),
                Err(_) => state.unreadable += 1,
            }
        }
        state
    }

    /// The state after one more step.
    pub(super) fn with(&self, step: &Step) -> Self {
        let mut state = self.clone();
        state.add(step.clone());
        state
    }

    fn add(&mut self, step: Step) {
        if self.has(&step) {
            return;
        }
        if step.number == 1 {
            self.steps.clear();
            self.unreadable = 0;
        }
        if let Some(number) = step.backtrack_from()
            && self.has_number(number)
        {
            self.steps.retain(|other| other.number <= number);
        }
        self.steps.push(step);
    }

    /// The steps that count, oldest first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps of the thread could not be read.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Whether this step is there already.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.steps.iter().any(|other| other.is_repeat_of(step))
    }

    /// Whether there is a step with this number.
    pub(super) fn has_number(&self, number: u64) -> bool {
        self.steps.iter().any(|step| step.number == number)
    }

    /// What the agent was asked to do: the text of the first step.
    pub fn initial_request(&self) -> &str {
        self.steps.first().map_or("", Step::text)
    }

    /// All different texts of a list of all steps, in the order in which they were first named: `files_checked`,
    /// `relevant_files`, `relevant_context`, `images`.
    pub fn all(&self, field: &str) -> Vec<&str> {
        let mut known = HashSet::new();
        let texts = self.steps.iter().flat_map(|step| step.arguments().texts(field));
        texts.filter(|text| known.insert(*text)).collect()
    }

    /// What the newest step that has this field says.
    pub(super) fn latest(&self, field: &str) -> Option<&Value> {
        self.steps.iter().rev().find_map(|step| step.arguments().as_json().get(field))
    }

    /// All different issues, in the order in which they were first named.
    pub fn issues(&self) -> Vec<&Value> {
        let mut known = HashSet::new();
        let issues = self.steps.iter().flat_map(|step| step.arguments().list("issues_found"));
        issues.filter(|issue| known.insert(issue.to_string())).collect()
    }

    /// The findings of the steps that have some, each with the number of its step.
    pub fn findings(&self) -> Vec<(u64, &str)> {
        self.texts(Step::findings)
    }

    /// The hypotheses, each with the number of the step that has changed it. The last one is the present one.
    pub fn hypotheses(&self) -> Vec<(u64, &str)> {
        let mut hypotheses = self.texts(|step| step.arguments().text("hypothesis").unwrap_or_default());
        hypotheses.dedup_by(|later, earlier| later.1 == earlier.1);
        hypotheses
    }

    fn texts<'a>(&'a self, text: impl Fn(&'a Step) -> &'a str) -> Vec<(u64, &'a str)> {
        let texts = self.steps.iter().map(|step| (step.number, text(step).trim()));
        texts.filter(|(_, text)| !text.is_empty()).collect()
    }

    /// The last confidence that the agent has told.
    pub fn confidence(&self) -> Confidence {
        self.steps.iter().rev().find_map(Step::confidence).unwrap_or_default()
    }
}
