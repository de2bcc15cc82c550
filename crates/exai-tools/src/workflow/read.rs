//! One argument of a call, checked.
//!
//! Agents write JSON by hand: a number, a flag or a list with one entry may come as a text, and a word of a choice in
//! another case. What is meant is plain in these cases, and a refusal would cost a turn.

use serde_json::{Map, Value, json};

use super::bad_input::BadInput;
use super::limits::{
    MAX_ENTRY_BYTES, MAX_ISSUE_BYTES, MAX_LIST_ENTRIES, MAX_MODELS, MAX_SHOWN_CHARS, MAX_TEXT_BYTES,
};
use super::spec::{Field, FieldKind};

/// The stances that a model can be asked to take.
pub(super) const STANCES: [&str; 3] = ["for", "against", "neutral"];

/// `given` as the value of `field`, in its own type.
pub(super) fn value(field: &Field, given: &Value) -> Result<Value, BadInput> {
    let name = &field.name;
    let is_list = matches!(field.kind, FieldKind::Texts { .. } | FieldKind::Issues | FieldKind::Models);
    let list = if is_list { list_in_text(given) } else { None };
    let given = list.as_ref().unwrap_or(given);
    match &field.kind {
        FieldKind::Text => text(field, given),
        FieldKind::Texts { most_bytes } => texts(name, given, most_bytes.unwrap_or(MAX_ENTRY_BYTES)),
        FieldKind::Flag => flag(given).ok_or_else(|| unfit(name, given, "true or false")),
        FieldKind::Integer { least, most } => integer(given)
            .filter(|number| (least..=most).contains(&number))
            .map(Value::from)
            .ok_or_else(|| unfit(name, given, format!("a whole number from {least} to {most}"))),
        FieldKind::Real { most } => real(given)
            .filter(|number| (0.0..=*most).contains(number))
            .map(Value::from)
            .ok_or_else(|| unfit(name, given, format!("a number from 0 to {most}"))),
        FieldKind::Choice { values } => choice(name, given, values.iter().map(String::as_str)),
        FieldKind::Issues => entries(name, given, MAX_LIST_ENTRIES)?
            .iter()
            .enumerate()
            .map(|(index, entry)| issue(&format!("{name}[{index}]"), entry))
            .collect(),
        FieldKind::Models => models(name, given),
    }
}

/// A list that a client has sent as the text of its JSON.
fn list_in_text(given: &Value) -> Option<Value> {
    let text = given.as_str().filter(|text| text.starts_with('[') && text.len() <= MAX_TEXT_BYTES)?;
    serde_json::from_str::<Vec<Value>>(text).ok().map(Value::Array)
}

fn unfit(field: &str, given: &Value, allowed: impl Into<String>) -> BadInput {
    BadInput::Unfit { field: field.to_owned(), given: shown(given), allowed: allowed.into() }
}

/// The beginning of a value as JSON.
fn shown(given: &Value) -> String {
    // The text is cut first: a value may have megabytes.
    let text = match given {
        Value::String(text) => json!(text.chars().take(MAX_SHOWN_CHARS + 1).collect::<String>()).to_string(),
        Value::Array(entries) => return format!("a list of {}", entries.len()),
        Value::Object(_) => return "an object".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn text(field: &Field, given: &Value) -> Result<Value, BadInput> {
    let text = given.as_str().ok_or_else(|| unfit(&field.name, given, "text"))?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(BadInput::Unfit {
            field: field.name.clone(),
            given: format!("{} bytes long", text.len()),
            allowed: format!(
                "at most {MAX_TEXT_BYTES} bytes: write more than that to a file, and pass its path"
            ),
        });
    }
    if text.trim().is_empty() && field.required && !field.may_be_empty {
        return Err(unfit(&field.name, given, "text that is not empty"));
    }
    Ok(given.clone())
}

fn texts(name: &str, given: &Value, most_bytes: usize) -> Result<Value, BadInput> {
    if given.is_string() {
        return texts(name, &json!([given]), most_bytes);
    }
    let entries = entries(name, given, MAX_LIST_ENTRIES)?;
    for (index, entry) in entries.iter().enumerate() {
        let text = entry.as_str().ok_or_else(|| unfit(&format!("{name}[{index}]"), entry, "text"))?;
        if text.len() > most_bytes {
            return Err(BadInput::Unfit {
                field: format!("{name}[{index}]"),
                given: format!("{} bytes long", text.len()),
                allowed: format!("at most {most_bytes} bytes"),
            });
        }
    }
    Ok(entries.iter().filter(|entry| entry.as_str() != Some("")).cloned().collect())
}

fn entries<'a>(name: &str, given: &'a Value, most: usize) -> Result<&'a [Value], BadInput> {
    let allowed = || format!("a list of at most {most}");
    let entries = given.as_array().ok_or_else(|| unfit(name, given, allowed()))?;
    if entries.len() > most {
        return Err(unfit(name, given, allowed()));
    }
    Ok(entries)
}

fn flag(given: &Value) -> Option<Value> {
    match given {
        Value::Bool(_) => Some(given.clone()),
        Value::String(text) => text.trim().to_lowercase().parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

fn integer(given: &Value) -> Option<u64> {
    match given {
        Value::String(text) => text.trim().parse().ok(),
        // Some clients write every number with a point.
        Value::Number(number) => {
            given.as_u64().or_else(|| number.to_string().strip_suffix(".0")?.parse().ok())
        }
        _ => None,
    }
}

fn real(given: &Value) -> Option<f64> {
    match given {
        Value::String(text) => text.trim().parse().ok(),
        _ => given.as_f64(),
    }
}

fn choice<'a>(
    name: &str,
    given: &Value,
    mut values: impl Iterator<Item = &'a str> + Clone,
) -> Result<Value, BadInput> {
    let all = values.clone();
    let word = given.as_str().filter(|word| word.len() <= MAX_ENTRY_BYTES).unwrap_or_default();
    let word = word.trim().to_lowercase().replace([' ', '-'], "_");
    values
        .find(|value| *value == word)
        .map(Value::from)
        .ok_or_else(|| unfit(name, given, format!("one of {}", all.collect::<Vec<_>>().join(", "))))
}

fn issue(name: &str, given: &Value) -> Result<Value, BadInput> {
    let issue = match given {
        Value::String(text) => json!({ "description": text }),
        Value::Object(_) => given.clone(),
        _ => return Err(unfit(name, given, "an object with severity and description")),
    };
    if issue.to_string().len() > MAX_ISSUE_BYTES {
        return Err(unfit(name, given, format!("at most {MAX_ISSUE_BYTES} bytes long")));
    }
    Ok(issue)
}

fn models(name: &str, given: &Value) -> Result<Value, BadInput> {
    let entries = entries(name, given, MAX_MODELS)?;
    if entries.is_empty() {
        return Err(unfit(name, given, format!("a list of 1 to {MAX_MODELS} models")));
    }
    let mut models: Vec<Value> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("{name}[{index}]");
        let model = model(&field, entry)?;
        let is_same = |other: &Value| other["model"] == model["model"] && other["stance"] == model["stance"];
        if let Some(first) = models.iter().position(is_same) {
            return Err(BadInput::Unfit {
                field,
                given: format!("the same model with the same stance as {name}[{first}]"),
                allowed: "another model, or have another stance".to_owned(),
            });
        }
        models.push(model);
    }
    Ok(Value::Array(models))
}

/// One model of a consensus: an object, or just the name of the model.
fn model(field: &str, given: &Value) -> Result<Value, BadInput> {
    let part = |name: &str| given.get(name).filter(|value| !value.is_null());
    let name = given.as_str().or_else(|| part("model")?.as_str());
    let name = name.map(str::trim).filter(|name| !name.is_empty() && name.len() <= MAX_ENTRY_BYTES);
    let Some(name) = name else {
        return Err(unfit(field, given, "an object with model, stance and stance_prompt"));
    };
    let mut model = Map::new();
    model.insert("model".to_owned(), name.into());
    let stance = match part("stance") {
        Some(stance) => choice(&format!("{field}.stance"), stance, STANCES.into_iter())?,
        None => "neutral".into(),
    };
    model.insert("stance".to_owned(), stance);
    if let Some(prompt) = part("stance_prompt") {
        let is_fit = prompt.as_str().is_some_and(|text| text.len() <= MAX_ISSUE_BYTES);
        if !is_fit {
            let allowed = format!("text of at most {MAX_ISSUE_BYTES} bytes");
            return Err(unfit(&format!("{field}.stance_prompt"), prompt, allowed));
        }
        model.insert("stance_prompt".to_owned(), prompt.clone());
    }
    Ok(Value::Object(model))
}
