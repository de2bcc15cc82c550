//! What a client may see and use of the servers: its choice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::types::account;
use crate::types::names::SEPARATOR;
use crate::types::policy::ToolFilter;

/// What the configuration lets a client see and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The servers that the client may use; `None` for all.
    pub servers: Option<BTreeSet<Arc<str>>>,
    /// Which tools of these servers. The patterns are for the whole names `server__tool`, however the client writes
    /// them.
    pub tools: ToolFilter,
}

impl Choice {
    /// Whether the server is chosen.
    pub fn has_server(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(account::split(server).0))
    }

    /// Whether a tool of a chosen server may be seen and called.
    pub fn allows_tool(&self, server: &str, tool: &str) -> bool {
        self.tools.is_open() || self.tools.allows(&format!("{}{SEPARATOR}{tool}", account::split(server).0))
    }
}

/// The name by which the configuration knows a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    /// The label that the client's shim says.
    Label(Arc<str>),
    /// There is no label: the name that the client says of its program in `initialize`.
    Program,
    /// None. The command line is no client, and sees everything.
    Nameless,
}

/// The choices of the configuration, by name. Case does not matter.
#[derive(Debug, Default)]
pub(crate) struct Choices(BTreeMap<String, Arc<Choice>>);

impl Choices {
    /// Replaces all choices. A choice that is the same as before stays the same `Arc`.
    pub(crate) fn replace(&mut self, choices: Vec<(Arc<str>, Choice)>) {
        let mut old = std::mem::take(&mut self.0);
        for (name, choice) in choices {
            let name = name.to_lowercase();
            let same = old.remove(&name).filter(|known| **known == choice);
            self.0.insert(name, same.unwrap_or_else(|| choice.into()));
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Choice>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&name.to_lowercase()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_for_whole_names() {
        let tools = ToolFilter { allow: vec!["a__*".into(), "b__x".into()], deny: vec!["*__delete*".into()] };
        let choice = Choice { servers: Some(["a".into(), "b".into()].into()), tools };
        assert!(choice.has_server("a") && !choice.has_server("c") && !choice.has_server("A"));
        assert!(choice.allows_tool("a", "x") && choice.allows_tool("b", "x"));
        assert!(!choice.allows_tool("b", "y") && !choice.allows_tool("a", "delete_all"));
        assert!(Choice::default().has_server("c") && Choice::default().allows_tool("c", "x"));
    }

    #[test]
    fn names_are_found_in_any_case_and_an_equal_choice_is_the_same() {
        let mut choices = Choices::default();
        assert_eq!(choices.find("cursor"), None);
        let some = || Choice { servers: Some(["a".into()].into()), ..Choice::default() };
        choices.replace(vec![("Cursor".into(), some()), ("zed".into(), Choice::default())]);
        let known = choices.find("CURSOR").expect("a choice");
        choices.replace(vec![("cursor".into(), some())]);
        assert!(choices.find("Cursor").is_some_and(|now| Arc::ptr_eq(&now, &known)));
        assert_eq!(choices.find("zed"), None);
    }
}
