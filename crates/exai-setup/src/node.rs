//! The values of a document with their places, so that an error can say where.

use crate::Value;
use crate::fault::Fault;

/// How many variables or headers a server may have. Replacing repeated names takes the square of it.
const MAX_PAIRS: usize = 1000;

/// A document that was read.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// Where a value is, in bytes from the beginning of the text.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Where it begins.
    pub(crate) at: usize,
    /// Where its key begins, if it has one.
    pub(crate) key: usize,
    /// The places of its elements or members.
    pub(crate) inner: Vec<Place>,
}

/// A value in its document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'d> {
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    pub(crate) value: &'d Value,
    inner: &'d [Place],
}

/// A key with its value.
pub(crate) struct Member<'d> {
    pub(crate) key: &'d str,
    /// Where the key begins.
    pub(crate) at: usize,
    pub(crate) node: Node<'d>,
}

impl Document {
    /// The outermost value.
    pub(crate) fn root(&self) -> Node<'_> {
        Node { at: self.place.at, value: &self.value, inner: &self.place.inner }
    }
}

impl<'d> Node<'d> {
    /// A value whose place does not matter.
    pub(crate) fn without_place(value: &'d Value) -> Self {
        Node { at: 0, value, inner: &[] }
    }

    fn inner(self, index: usize, value: &'d Value) -> Self {
        match self.inner.get(index) {
            Some(place) => Node { at: place.at, value, inner: &place.inner },
            None => Node { at: self.at, value, inner: &[] },
        }
    }

    /// The members, if this is a map.
    pub(crate) fn members(self) -> Option<Vec<Member<'d>>> {
        let pairs = self.value.as_map()?.iter().enumerate();
        let member = |(index, (key, value)): (usize, &'d (String, Value))| Member {
            key,
            at: self.inner.get(index).map_or(self.at, |place| place.key),
            node: self.inner(index, value),
        };
        Some(pairs.map(member).collect())
    }

    /// The elements, if this is a list.
    pub(crate) fn elements(self) -> Option<Vec<Node<'d>>> {
        let elements = self.value.as_list()?.iter().enumerate();
        Some(elements.map(|(index, element)| self.inner(index, element)).collect())
    }

    /// The text, if this is one.
    pub(crate) fn as_text(self) -> Option<&'d str> {
        self.value.as_text()
    }

    /// The member with this key; the last one where a key is written twice, which is how JSON readers agree. A member
    /// that is null counts as absent.
    pub(crate) fn get(self, key: &str) -> Option<Node<'d>> {
        let index = self.value.as_map()?.iter().rposition(|(name, _)| name == key)?;
        let (_, value) = self.value.as_map()?.get(index)?;
        (*value != Value::Null).then(|| self.inner(index, value))
    }

    /// The first of these keys that is there.
    pub(crate) fn get_any(self, keys: &[&str]) -> Option<Node<'d>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The text of a member, if it is there.
    pub(crate) fn text(self, key: &str) -> Result<Option<&'d str>, Fault> {
        let Some(node) = self.get(key) else { return Ok(None) };
        node.as_text().map(Some).ok_or_else(|| Fault::new(node.at, format!("`{key}` must be a text")))
    }

    /// The text of the first of these members that is there.
    pub(crate) fn text_any(self, keys: &[&str]) -> Result<Option<&'d str>, Fault> {
        match keys.iter().find(|key| self.get(key).is_some()) {
            Some(key) => self.text(key),
            None => Ok(None),
        }
    }

    /// A yes or no, if it is there.
    pub(crate) fn flag(self, key: &str) -> Result<Option<bool>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(node) => {
                let wrong = || Fault::new(node.at, format!("`{key}` must be true or false"));
                node.value.as_bool().map(Some).ok_or_else(wrong)
            }
        }
    }

    /// A list of texts, if it is there.
    pub(crate) fn texts(self, key: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let wrong = |at| Fault::new(at, format!("`{key}` must be a list of texts"));
        let elements = node.elements().ok_or_else(|| wrong(node.at))?;
        elements
            .into_iter()
            .map(|element| element.value.to_plain_text().ok_or_else(|| wrong(element.at)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Names with values, if they are there. Numbers and true and false become texts; null leaves its name out.
    pub(crate) fn pairs(self, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        let members = node
            .members()
            .ok_or_else(|| Fault::new(node.at, format!("`{key}` must be a table of names and texts")))?;
        if members.len() > MAX_PAIRS {
            return Err(Fault::new(node.at, format!("`{key}` has more than {MAX_PAIRS} members")));
        }
        let mut pairs: Vec<(String, String)> = Vec::with_capacity(members.len());
        for member in members {
            if *member.node.value == Value::Null {
                continue;
            }
            let value = member.node.value.to_plain_text().ok_or_else(|| {
                Fault::new(member.node.at, format!("the value of `{}` in `{key}` must be a text", member.key))
            })?;
            pairs.retain(|(name, _)| name != member.key);
            pairs.push((member.key.to_owned(), value));
        }
        Ok(pairs)
    }
}
