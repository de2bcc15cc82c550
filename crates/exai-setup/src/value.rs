//! One tree for what JSON, TOML and YAML hold.

/// A value of a configuration file, whatever its format. Maps keep the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as the file writes it.
    Number(String),
    /// A text. The date of a TOML file is a text, too.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map. A key that the file has twice is here twice; [`Value::get`] finds the last one, as the clients do.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Value::List(texts.into_iter().map(Value::text).collect())
    }

    /// A map of these keys and values.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value of `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The pairs, if this is a map.
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        if let Value::Map(pairs) = self { Some(pairs) } else { None }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(elements) = self { Some(elements) } else { None }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The truth, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The number, if this is one that is not negative and finite.
    pub fn as_number(&self) -> Option<f64> {
        let Value::Number(digits) = self else { return None };
        digits.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }

    /// What a server's variable or argument is as a text: texts as they are, numbers and booleans as they are written.
    pub fn to_plain_text(&self) -> Option<String> {
        match self {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What lies under `name`: the value of a key, or the element of a list whose `name` is `name`.
    pub fn step(&self, name: &str) -> Option<&Value> {
        match self {
            Value::List(elements) => elements.iter().rev().find(|element| is_named(element, name)),
            _ => self.get(name),
        }
    }

    /// What lies at the end of `path`.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, name| value.step(name))
    }

    /// Puts the keys of every map in order. Keys that are there twice keep theirs.
    pub(crate) fn sort_keys(&mut self) {
        match self {
            Value::Map(pairs) => {
                pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
                for (_, value) in pairs {
                    value.sort_keys();
                }
            }
            Value::List(elements) => elements.iter_mut().for_each(Value::sort_keys),
            _ => {}
        }
    }

    /// Removes what lies at the end of `path`, which is not empty, if it is there.
    pub(crate) fn drop_at(&mut self, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else { return };
        match self {
            Value::Map(pairs) if rest.is_empty() => pairs.retain(|(key, _)| key != name),
            Value::List(elements) if rest.is_empty() => elements.retain(|element| !is_named(element, name)),
            Value::Map(pairs) => {
                if let Some((_, value)) = pairs.iter_mut().rev().find(|(key, _)| key == name) {
                    value.drop_at(rest);
                }
            }
            Value::List(elements) => {
                if let Some(value) = elements.iter_mut().rev().find(|element| is_named(element, name)) {
                    value.drop_at(rest);
                }
            }
            _ => {}
        }
    }
}

/// Whether an element of a list is the one with this `name`.
fn is_named(element: &Value, name: &str) -> bool {
    element.get("name").and_then(Value::as_text) == Some(name)
}
