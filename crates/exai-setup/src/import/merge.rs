//! Equal servers of several clients become one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{ServerEntry, ToolChoice, Transport};

/// Where a server was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the client.
    pub client: &'static str,
    /// The file of the client.
    pub file: PathBuf,
    /// The name that the server has there.
    pub name: String,
}

/// A server of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it was found.
    pub origin: Origin,
    /// The server, with absolute paths.
    pub entry: ServerEntry,
    /// What makes it the same as another one.
    pub identity: ServerIdentity,
}

/// A server of one or more clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedServer {
    /// The server. Its name and command are those of the first client, its times the longest; its choice of tools is the one
    /// that all clients agree on, and is empty if they differ.
    pub entry: ServerEntry,
    /// What makes it the same as another one.
    pub identity: ServerIdentity,
    /// Where it was found.
    pub origins: Vec<Origin>,
    /// The choices of tools of those clients that have another one than [`MergedServer::entry`].
    pub choices: Vec<(&'static str, ToolChoice)>,
}

/// What makes two servers the same: what is started, with what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerIdentity {
    program: String,
    args: Vec<String>,
    pairs: BTreeMap<String, String>,
    cwd: Option<String>,
}

/// The identity of a server. `program` is the program as the system finds it (`/usr/bin/npx` for `npx`), so that two ways to
/// write it are equal; it does not count for a URL.
pub fn identify(entry: &ServerEntry, program: &str) -> ServerIdentity {
    match &entry.transport {
        Transport::Stdio { args, env, cwd, .. } => ServerIdentity {
            program: program.to_owned(),
            args: args.clone(),
            pairs: env.iter().cloned().collect(),
            cwd: cwd.clone(),
        },
        Transport::Url { url, headers } => ServerIdentity {
            program: url.trim_end_matches('/').to_owned(),
            args: Vec::new(),
            pairs: headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
            cwd: None,
        },
    }
}

/// Merges equal servers. The order is that of their first clients.
pub fn merge(candidates: Vec<Candidate>) -> Vec<MergedServer> {
    let mut groups: Vec<(ServerIdentity, Vec<Candidate>)> = Vec::new();
    let mut places: BTreeMap<ServerIdentity, usize> = BTreeMap::new();
    for candidate in candidates {
        let identity = candidate.identity.clone();
        let place = *places.entry(identity.clone()).or_insert_with(|| {
            groups.push((identity, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(candidate);
    }
    groups.into_iter().filter_map(|(identity, group)| join(identity, group)).collect()
}

fn join(identity: ServerIdentity, group: Vec<Candidate>) -> Option<MergedServer> {
    let mut entry = group.first()?.entry.clone();
    let mut choices: Vec<(&'static str, ToolChoice)> = Vec::new();
    let mut origins = Vec::new();
    for candidate in group {
        entry.start_timeout = entry.start_timeout.max(candidate.entry.start_timeout);
        entry.call_timeout = entry.call_timeout.max(candidate.entry.call_timeout);
        for secret in candidate.entry.secrets {
            if !entry.secrets.contains(&secret) {
                entry.secrets.push(secret);
            }
        }
        choices.push((candidate.origin.client, candidate.entry.tools));
        origins.push(candidate.origin);
    }
    if choices.iter().all(|(_, choice)| *choice == entry.tools) {
        choices.clear();
    } else {
        entry.tools = ToolChoice::default();
        choices.retain(|(_, choice)| *choice != ToolChoice::default());
    }
    Some(MergedServer { entry, identity, origins, choices })
}

impl MergedServer {
    /// Makes the choice of tools that all clients agree on that of each client: for a server that exai has already, and whose
    /// own choice stays.
    pub fn leave_choice_to_clients(&mut self) {
        let tools = std::mem::take(&mut self.entry.tools);
        if tools != ToolChoice::default() {
            self.choices = self.origins.iter().map(|origin| (origin.client, tools.clone())).collect();
        }
    }
}

/// `cmd /c npx …`, which clients on Windows need and exai does not, becomes `npx …`.
pub fn unwrap_shell(entry: &mut ServerEntry) {
    let Transport::Stdio { command, args, .. } = &mut entry.transport else { return };
    let file = command.rsplit(['/', '\\']).next().unwrap_or(command).to_ascii_lowercase();
    let is_shell = matches!(file.as_str(), "cmd" | "cmd.exe");
    if is_shell && args.len() > 1 && args[0].eq_ignore_ascii_case("/c") && !args[1].contains(' ') {
        *command = args.remove(1);
        args.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn entry(name: &str, args: &[&str], env: &[(&str, &str)]) -> ServerEntry {
        let transport = Transport::Stdio {
            command: "npx".to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            env: env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            cwd: None,
            env_file: None,
        };
        ServerEntry::new(name, transport)
    }

    fn candidate(client: &'static str, entry: ServerEntry) -> Candidate {
        let origin = Origin { client, file: PathBuf::new(), name: entry.name.clone() };
        let identity = identify(&entry, "/usr/bin/npx");
        Candidate { origin, entry, identity }
    }

    #[test]
    fn equal_servers_are_one_whatever_their_names_and_the_order_of_their_variables() {
        let mut slow = entry("time", &["time"], &[("A", "1"), ("B", "2")]);
        slow.call_timeout = Some(Duration::from_mins(1));
        let mut other_spelling = candidate("cursor", entry("Time!", &["time"], &[("B", "2"), ("A", "1")]));
        if let Transport::Stdio { command, .. } = &mut other_spelling.entry.transport {
            "/usr/bin/npx".clone_into(command);
        }
        let merged = merge(vec![
            candidate("claude-code", slow),
            candidate("cursor", entry("files", &["files"], &[])),
            other_spelling,
            candidate("zed", entry("time", &["time"], &[("A", "other"), ("B", "2")])),
        ]);
        let found: Vec<(&str, Vec<&str>)> = merged
            .iter()
            .map(|one| (one.entry.name.as_str(), one.origins.iter().map(|origin| origin.client).collect()))
            .collect();
        assert_eq!(
            found,
            [("time", vec!["claude-code", "cursor"]), ("files", vec!["cursor"]), ("time", vec!["zed"])]
        );
        assert_eq!(merged[0].entry.call_timeout, Some(Duration::from_mins(1)));
    }

    #[test]
    fn tools_that_all_clients_choose_alike_are_the_servers_and_others_each_clients() {
        let choice = |deny: &str| ToolChoice { allow: Vec::new(), deny: vec![deny.to_owned()] };
        let with = |client, tools| {
            let mut entry = entry("x", &["x"], &[]);
            entry.tools = tools;
            candidate(client, entry)
        };
        let alike = merge(vec![with("a", choice("write")), with("b", choice("write"))]);
        assert_eq!((alike[0].entry.tools.clone(), alike[0].choices.len()), (choice("write"), 0));
        let unlike = merge(vec![
            with("a", choice("write")),
            with("b", ToolChoice::default()),
            with("c", choice("read")),
        ]);
        assert_eq!(unlike[0].entry.tools, ToolChoice::default());
        assert_eq!(unlike[0].choices, [("a", choice("write")), ("c", choice("read"))]);
    }

    #[test]
    fn the_shell_of_windows_around_a_command_goes() {
        for (command, args, expected) in [
            ("cmd", &["/c", "npx", "-y", "x"][..], "npx -y x"),
            (r"C:\Windows\System32\CMD.EXE", &["/C", "uvx", "x"], "uvx x"),
            ("cmd", &["/c", "npx -y x"], "cmd /c npx -y x"),
            ("cmd", &["/k", "npx", "x"], "cmd /k npx x"),
            ("cmd", &["/c"], "cmd /c"),
            ("sh", &["-c", "npx"], "sh -c npx"),
        ] {
            let mut entry = entry("x", args, &[]);
            if let Transport::Stdio { command: program, .. } = &mut entry.transport {
                command.clone_into(program);
            }
            unwrap_shell(&mut entry);
            let Transport::Stdio { command, args, .. } = entry.transport else { panic!("no command") };
            assert_eq!([vec![command], args].concat().join(" "), expected);
        }
    }
}
