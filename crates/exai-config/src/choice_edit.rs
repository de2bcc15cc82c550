//! Changing the `[clients.NAME]` tables of `config.toml`.

use toml_edit::{Array, InlineTable, Item, Table, TableLike};

use crate::edit::{EditError, edit, insert_table, one_line};
use crate::{ClientConfig, Home, ToolFilter};

/// Lets a client see this choice alone. A choice that is there stays.
pub fn choose(home: &Home, client: &str, choice: &ClientConfig, comment: &str) -> Result<(), EditError> {
    edit(home, |document, config| {
        if config.clients.find(client).is_some() {
            return Ok(());
        }
        let mut table = Table::new();
        if let Some(servers) = &choice.servers {
            table.insert("servers", Item::Value(Array::from_iter(servers).into()));
        }
        let filter = ToolFilter::default();
        let mut tools = InlineTable::new();
        for (key, patterns, usual) in
            [("allow", &choice.tools.allow, &filter.allow), ("deny", &choice.tools.deny, &filter.deny)]
        {
            if patterns != usual {
                tools.insert(key, Array::from_iter(patterns).into());
            }
        }
        if !tools.is_empty() {
            table.insert("tools", Item::Value(tools.into()));
        }
        table.decor_mut().set_prefix(format!("\n# {}\n", one_line(comment)));
        insert_table(document, "clients", client, table);
        Ok(())
    })
}

/// A server that a client shall see from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownServer {
    /// Its name.
    pub name: String,
    /// If this is not empty, these of its tools alone; patterns of `SERVER__TOOL`.
    pub allow: Vec<String>,
    /// None of these of its tools.
    pub deny: Vec<String>,
}

/// Lets a client that has a choice see these servers, too. Without a choice nothing is to be done.
pub fn show_servers(home: &Home, client: &str, servers: &[ShownServer]) -> Result<(), EditError> {
    edit(home, |document, config| {
        let Some((known, choice)) = config.clients.find(client) else { return Ok(()) };
        let mut shown = choice.clone();
        let configured = || config.servers.names().map(str::to_owned);
        for server in servers {
            let before = shown.servers.clone().unwrap_or_else(|| configured().collect());
            if let Some(names) = &mut shown.servers
                && !names.contains(&server.name)
            {
                names.push(server.name.clone());
            }
            let allow = &mut shown.tools.allow;
            let whole = format!("{}__*", server.name);
            let is_open = allow.iter().any(|pattern| pattern == "*");
            if server.allow.is_empty() {
                if !is_open && !allow.contains(&whole) {
                    allow.push(whole);
                }
            } else {
                if is_open {
                    // What was open to all servers is named for each of the others.
                    let others = before.iter().filter(|name| **name != server.name);
                    *allow = others.map(|name| format!("{name}__*")).collect();
                }
                allow.extend(server.allow.iter().filter(|one| !choice.tools.allow.contains(one)).cloned());
            }
            shown
                .tools
                .deny
                .extend(server.deny.iter().filter(|one| !choice.tools.deny.contains(one)).cloned());
        }
        let clients = document.get_mut("clients").and_then(Item::as_table_like_mut);
        let table = clients.and_then(|clients| clients.get_mut(known)).and_then(Item::as_table_like_mut);
        let table = table.expect("BUG: what was found is there");
        if shown.servers != choice.servers
            && let Some(servers) = &shown.servers
        {
            set_list(table, "servers", servers);
        }
        if shown.tools != choice.tools {
            let tools = table.entry("tools").or_insert_with(|| Item::Value(InlineTable::new().into()));
            let tools = tools.as_table_like_mut().expect("BUG: a valid file has a table here");
            for (key, now, before) in [
                ("allow", &shown.tools.allow, &choice.tools.allow),
                ("deny", &shown.tools.deny, &choice.tools.deny),
            ] {
                if now != before {
                    set_list(tools, key, now);
                }
            }
        }
        Ok(())
    })
}

/// Sets a list. One that is there keeps its comments and layout as far as its elements stay.
fn set_list(table: &mut dyn TableLike, key: &str, texts: &[String]) {
    let known = table.get(key).and_then(Item::as_array).map(|list| {
        list.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    match known {
        Some(known) if texts.starts_with(&known) => {
            if let Some(list) = table.get_mut(key).and_then(Item::as_array_mut) {
                list.extend(&texts[known.len()..]);
            }
        }
        _ => {
            table.insert(key, Item::Value(Array::from_iter(texts).into()));
        }
    }
}

/// Removes the choice of a client, with the comment above it. Without one nothing is to be done.
pub fn forget_choice(home: &Home, client: &str) -> Result<(), EditError> {
    edit(home, |document, config| {
        let known = config.clients.find(client).map(|(known, _)| known.to_owned());
        let clients = document.get_mut("clients").and_then(Item::as_table_like_mut);
        if let (Some(known), Some(clients)) = (known, clients) {
            clients.remove(&known);
            if clients.is_empty() {
                document.remove("clients");
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, change: impl FnOnce(&Home) -> Result<(), EditError>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        std::fs::write(home.config(), text).unwrap();
        change(&home).unwrap();
        std::fs::read_to_string(home.config()).unwrap()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_choice_is_written_once_and_goes_again_without_a_trace() {
        let text = "# mine\n[servers.a]\ncommand = \"a\"\n";
        let tools = ToolFilter { allow: texts(&["a__*"]), ..ToolFilter::default() };
        let choice = ClientConfig { servers: Some(texts(&["a"])), tools };
        let expected = format!(
            "{text}\n# by import\n[clients.cursor]\nservers = [\"a\"]\ntools = {{ allow = [\"a__*\"] }}\n"
        );
        assert_eq!(after(text, |home| choose(home, "cursor", &choice, "by\nimport")), expected);
        assert_eq!(after(&expected, |home| choose(home, "Cursor", &ClientConfig::default(), "x")), expected);
        assert_eq!(after(&expected, |home| forget_choice(home, "CURSOR")), text);
        assert_eq!(after(text, |home| forget_choice(home, "cursor")), text);
    }

    fn shown(name: &str, allow: &[&str], deny: &[&str]) -> ShownServer {
        ShownServer { name: name.to_owned(), allow: texts(allow), deny: texts(deny) }
    }

    #[test]
    fn a_choice_that_leaves_a_server_out_shows_it_from_then_on() {
        let text = "[clients.Zed] # mine\nservers = [\"a\"]\ntools = { allow = [\"a__*\"] }\n[servers.a]\ncommand = \"a\"\n";
        let both = [shown("a", &[], &[]), shown("b", &[], &[])];
        let expected =
            text.replace("[\"a\"]", "[\"a\", \"b\"]").replace("[\"a__*\"]", "[\"a__*\", \"b__*\"]");
        assert_eq!(after(text, |home| show_servers(home, "zed", &both)), expected);
        for open in ["[clients.zed]\n", "[servers.a]\ncommand = \"a\"\n"] {
            assert_eq!(after(open, |home| show_servers(home, "zed", &both)), open);
        }
    }

    #[test]
    fn a_server_that_is_shown_later_keeps_the_choice_of_its_tools() {
        let text = "[clients.zed]\nservers = [\"a\"]\n[servers.a]\ncommand = \"a\"\n";
        let after = |server| {
            let text = after(text, |home| show_servers(home, "zed", &[server]));
            text.lines().skip(1).take(2).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            after(shown("b", &["b__read"], &[])),
            "servers = [\"a\", \"b\"]; tools = { allow = [\"a__*\", \"b__read\"] }"
        );
        assert_eq!(
            after(shown("b", &[], &["b__write"])),
            "servers = [\"a\", \"b\"]; tools = { deny = [\"b__write\"] }"
        );
    }
}
