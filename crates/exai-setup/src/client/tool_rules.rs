//! What users of a client forbid and allow by the names of servers and tools, beside the entries of the servers.

use std::path::PathBuf;

use super::places::{Directories, Location, resolve_all};
use crate::Value;
use crate::format::{Format, ParseError};

/// A place where a client keeps such rules.
#[derive(Clone, Copy, Debug)]
pub struct ToolRules {
    /// The format of the file.
    pub format: Format,
    /// Where the file is: the first place that exists.
    pub locations: &'static [Location],
    /// The keys on the way to the rules.
    pub pointer: &'static [&'static str],
    /// What a rule for a server or tool begins with.
    pub prefix: &'static str,
}

impl ToolRules {
    /// The paths where the file may be.
    pub fn paths(&self, directories: &Directories) -> Vec<PathBuf> {
        resolve_all(self.locations, directories)
    }

    /// The rules in the text of the file that name one of these servers. They hold no longer once the servers have other
    /// names.
    pub fn find(&self, text: &str, servers: &[&str]) -> Result<Vec<String>, ParseError> {
        let mut found = Vec::new();
        if let Some(rules) = self.format.parse(text)?.as_ref().and_then(|root| root.at(self.pointer)) {
            collect(rules, servers, &mut found);
        }
        found.retain(|rule| rule.starts_with(self.prefix));
        Ok(found)
    }
}

/// Collects the keys and texts that name a server. The parser bounds the depth.
fn collect(rules: &Value, servers: &[&str], found: &mut Vec<String>) {
    match rules {
        Value::Text(rule) => found.extend(Some(rule.clone()).filter(|rule| names_one_of(rule, servers))),
        Value::List(rules) => rules.iter().for_each(|rule| collect(rule, servers, found)),
        Value::Map(rules) => {
            for (rule, value) in rules {
                if names_one_of(rule, servers) {
                    found.push(rule.clone());
                } else {
                    collect(value, servers, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a rule names a server: `files`, `mcp__files__write_file`, `files_*`. Clients write `_` for what they do not allow
/// in names.
fn names_one_of(rule: &str, servers: &[&str]) -> bool {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    };
    let rule = format!("_{}_", plain(rule));
    servers.iter().any(|server| rule.contains(&format!("_{}_", plain(server))))
}

#[cfg(test)]
mod tests {
    use crate::client::find_client;

    #[test]
    fn the_rules_of_the_clients_are_found_by_the_names_of_their_servers() {
        let cases: &[(&str, &str, &[&str])] = &[
            (
                "claude-code",
                r#"{"permissions": {"deny": ["mcp__files__write_file", "Bash(rm:*)"], "allow": ["mcp__my_git"]}}"#,
                &["mcp__files__write_file", "mcp__my_git"],
            ),
            ("claude-code", r#"{"permissions": {"deny": ["mcp__profiles", "Read(files.txt)"]}}"#, &[]),
            ("gemini-cli", r#"{"my git": {"enabled": false}, "other": {"enabled": false}}"#, &["my git"]),
            ("qwen-code", r#"{"mcp": {"excluded": ["files"]}, "ui": "files"}"#, &["files"]),
            ("opencode", r#"{"tools": {"files_write_file": false, "bash": false}}"#, &["files_write_file"]),
            ("opencode", r#"{"permission": {"files_*": "deny"}}"#, &["files_*"]),
        ];
        for (client, text, expected) in cases {
            let rules = find_client(client).unwrap().tool_rules;
            let found: Vec<String> =
                rules.iter().flat_map(|rules| rules.find(text, &["files", "my git"]).unwrap()).collect();
            assert_eq!(found, *expected, "{client}");
        }
    }
}
