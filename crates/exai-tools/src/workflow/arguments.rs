//! The arguments of a call.

use serde_json::{Map, Value};

use super::bad_input::BadInput;
use super::read;
use super::spec::{Field, Spec, thinking_named};
use crate::models::request::Thinking;

/// The arguments of a call, checked: each field has the type that its tool says, under its own name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
    values: Map<String, Value>,
}

impl Arguments {
    /// Checks what a client has sent to a tool. Fields that the tool does not know are left out: old prompts send many.
    /// `null` is as good as nothing.
    pub fn parse(spec: &Spec, given: &Map<String, Value>) -> Result<Self, BadInput> {
        let mut values = Map::new();
        for field in &spec.fields {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let mut said = names.filter_map(|name| given.get(name)).filter(|value| !value.is_null());
            let Some(first) = said.next() else {
                if field.required {
                    return Err(missing(spec, field));
                }
                continue;
            };
            let mut value = read::value(field, first)?;
            for other in said {
                merge(&mut value, read::value(field, other)?);
            }
            values.insert(field.name.clone(), value);
        }
        Ok(Self { values })
    }

    /// A text, or the word of a choice.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field)?.as_str()
    }

    /// The texts of a list; none if the list is not there.
    pub fn texts(&self, field: &str) -> impl Iterator<Item = &str> {
        self.list(field).iter().filter_map(Value::as_str)
    }

    /// The entries of a list; none if the list is not there.
    pub fn list(&self, field: &str) -> &[Value] {
        self.values.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A flag.
    pub fn flag(&self, field: &str) -> Option<bool> {
        self.values.get(field)?.as_bool()
    }

    /// A whole number.
    pub fn integer(&self, field: &str) -> Option<u64> {
        self.values.get(field)?.as_u64()
    }

    /// A number.
    pub fn real(&self, field: &str) -> Option<f64> {
        self.values.get(field)?.as_f64()
    }

    /// `thinking_mode`.
    pub fn thinking(&self) -> Option<Thinking> {
        thinking_named(self.values.get("thinking_mode")?)
    }

    /// All of them as JSON, for the thread.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field)
    }
}

/// A list that comes under two names is one list. Of other values the first counts.
fn merge(value: &mut Value, other: Value) {
    if let (Value::Array(entries), Value::Array(others)) = (value, other) {
        for other in others {
            if !entries.contains(&other) {
                entries.push(other);
            }
        }
    }
}

fn missing(spec: &Spec, field: &Field) -> BadInput {
    let names: Vec<String> =
        spec.fields.iter().filter(|field| field.required).map(|field| format!("`{}`", field.name)).collect();
    let needed = match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    };
    BadInput::Missing { tool: spec.name.clone(), field: field.name.clone(), needed }
}
