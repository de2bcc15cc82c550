//! What each client shall see once exai stands in the place of its servers: what it saw before, and nothing else.

use super::MergedServer;
use crate::ToolChoice;

/// The servers and tools of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientChoice {
    /// The id of the client.
    pub client: &'static str,
    /// The servers that it sees. `None` for all of them.
    pub servers: Option<Vec<String>>,
    /// The tools that it sees, by patterns of `SERVER__TOOL`.
    pub tools: ToolChoice,
}

/// Makes the choice for a client: of all servers that exai has (`all`), those that the client had (`merged`, with the names
/// that exai gives them). `None` if it had them all, with all of their tools.
pub fn choose_for_client(
    client: &'static str,
    merged: &[(String, MergedServer)],
    all: &[String],
) -> Option<ClientChoice> {
    let own = |one: &&(String, MergedServer)| one.1.origins.iter().any(|origin| origin.client == client);
    let had: Vec<&(String, MergedServer)> = merged.iter().filter(own).collect();
    let names: Vec<String> = had.iter().map(|(name, _)| name.clone()).collect();
    let servers = all.iter().any(|name| !names.contains(name)).then_some(names);
    let mut tools = ToolChoice::default();
    let choice_of = |server: &MergedServer| {
        server.choices.iter().find(|(owner, _)| *owner == client).map(|(_, choice)| choice.clone())
    };
    let allows = |server: &MergedServer| choice_of(server).is_some_and(|choice| !choice.allow.is_empty());
    let allows_any = had.iter().any(|(_, server)| allows(server));
    for (name, server) in &had {
        let choice = choice_of(server).unwrap_or_default();
        tools.deny.extend(choice.deny.iter().map(|tool| format!("{name}__{tool}")));
        // A list of what is allowed holds for all servers, so each of them must be in it.
        if allows_any && choice.allow.is_empty() {
            tools.allow.push(format!("{name}__*"));
        }
        tools.allow.extend(choice.allow.iter().map(|tool| format!("{name}__{tool}")));
    }
    let is_whole = servers.is_none() && tools == ToolChoice::default();
    (!is_whole).then_some(ClientChoice { client, servers, tools })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::import::{Origin, identify};
    use crate::{ServerEntry, Transport};

    fn server(
        name: &str,
        clients: &[&'static str],
        choices: &[(&'static str, ToolChoice)],
    ) -> (String, MergedServer) {
        let transport = Transport::Url { url: "http://localhost".to_owned(), headers: Vec::new() };
        let origins = clients
            .iter()
            .map(|client| Origin { client, file: PathBuf::new(), name: "other".to_owned() })
            .collect();
        let entry = ServerEntry::new("other", transport);
        let identity = identify(&entry, "");
        (name.to_owned(), MergedServer { entry, identity, origins, choices: choices.to_vec() })
    }

    #[test]
    fn a_client_sees_what_it_saw_before() {
        let allow = ToolChoice { allow: vec!["read".to_owned()], deny: Vec::new() };
        let deny = ToolChoice { allow: Vec::new(), deny: vec!["write".to_owned()] };
        let merged = [
            server("a", &["x", "y", "z"], &[("y", allow), ("z", deny)]),
            server("b", &["x", "y", "z"], &[]),
            server("c", &["x", "z"], &[]),
        ];
        let all = ["a", "b", "c"].map(str::to_owned);
        let choose = |client, all: &[String]| choose_for_client(client, &merged, all);
        assert_eq!(choose("x", &all), None, "it has everything");
        let y = choose("y", &all).unwrap();
        assert_eq!(y.servers, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((y.tools.allow.join(" "), y.tools.deny.len()), ("a__read b__*".to_owned(), 0));
        let z = choose("z", &all).unwrap();
        assert_eq!((z.servers, z.tools.deny.join(" ")), (None, "a__write".to_owned()));
        let more = [&all[..], &["d".to_owned()]].concat();
        assert_eq!(choose("x", &more).unwrap().servers, Some(all.to_vec()), "exai has one more");
    }
}
