//! A document, whatever its syntax: the values, in the order in which they are written, each with its place.

use super::error::Fault;

/// How deep a document may be nested. The deepest format that is known needs 8.
pub(crate) const MAX_DEPTH: usize = 64;

/// How long a text may be, in bytes. The state file of a busy client has 1 MiB.
pub(crate) const MAX_TEXT_BYTES: usize = 8 << 20;

/// How many variables or headers a server may have. Replacing repeated names takes the square of it.
const MAX_PAIRS: usize = 1000;

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    /// The offset in bytes in the text that was read.
    pub(crate) at: usize,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Member>),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// Where the key begins.
    pub(crate) at: usize,
    pub(crate) node: Node,
}

impl Node {
    /// The members, if this is a table.
    pub(crate) fn members(&self) -> Option<&[Member]> {
        match &self.value {
            Value::Table(members) => Some(members),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub(crate) fn elements(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member with this key; the last one where a key is written twice, which is how JSON readers agree. A member
    /// that is null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let members = self.members()?;
        let member = members.iter().rev().find(|member| member.key == key)?;
        (!matches!(member.node.value, Value::Null)).then_some(&member.node)
    }

    /// The first of these keys that is there.
    pub(crate) fn get_any(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The text of a member, if it is there.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Fault> {
        let Some(node) = self.get(key) else { return Ok(None) };
        node.as_text().map(Some).ok_or_else(|| Fault::new(node.at, format!("`{key}` must be a text")))
    }

    /// The text of the first of these members that is there.
    pub(crate) fn text_any(&self, keys: &[&str]) -> Result<Option<&str>, Fault> {
        match keys.iter().find(|key| self.get(key).is_some()) {
            Some(key) => self.text(key),
            None => Ok(None),
        }
    }

    /// A yes or no, if it is there.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Node { value: Value::Flag(flag), .. }) => Ok(Some(*flag)),
            Some(node) => Err(Fault::new(node.at, format!("`{key}` must be true or false"))),
        }
    }

    /// A list of texts, if it is there.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let wrong = |at| Fault::new(at, format!("`{key}` must be a list of texts"));
        let elements = node.elements().ok_or_else(|| wrong(node.at))?;
        elements
            .iter()
            .map(|element| element.scalar().ok_or_else(|| wrong(element.at)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A number that is not negative, if it is there.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Fault> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let number = match &node.value {
            Value::Number(number) => number.replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        number.map(Some).ok_or_else(|| Fault::new(node.at, format!("`{key}` must be a number")))
    }

    /// Names with values, if they are there. Numbers and true and false become texts; null leaves its name out.
    pub(crate) fn pairs(&self, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        let members = node
            .members()
            .ok_or_else(|| Fault::new(node.at, format!("`{key}` must be a table of names and texts")))?;
        if members.len() > MAX_PAIRS {
            return Err(Fault::new(node.at, format!("`{key}` has more than {MAX_PAIRS} members")));
        }
        let mut pairs: Vec<(String, String)> = Vec::with_capacity(members.len());
        for member in members {
            if matches!(member.node.value, Value::Null) {
                continue;
            }
            let value = member.node.scalar().ok_or_else(|| {
                Fault::new(member.node.at, format!("the value of `{}` in `{key}` must be a text", member.key))
            })?;
            pairs.retain(|(name, _)| *name != member.key);
            pairs.push((member.key.clone(), value));
        }
        Ok(pairs)
    }

    /// A value that can be written in one word: a text, a number, true or false.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Flag(flag) => Some(flag.to_string()),
            Value::Null | Value::List(_) | Value::Table(_) => None,
        }
    }
}
