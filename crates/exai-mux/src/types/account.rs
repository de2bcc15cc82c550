//! Accounts: a server elsewhere may know several, and a client uses one of them.
//!
//! To the router each account is a server of its own, called `SERVER@ACCOUNT`: with instances, lists and failures of its own,
//! none of which may reach a client of another account. Clients know it by the name of the server alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::types::ids::Endpoint;

/// Stands between server and account. Names of servers never hold it.
const SEPARATOR: char = '@';

/// An account of a server, and who uses it. Of the accounts that suit a client it uses the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The server, as clients know it.
    pub server: Arc<str>,
    /// The account.
    pub name: Arc<str>,
    /// The clients that use it, by name. Case does not matter.
    pub clients: Vec<String>,
    /// It is used in these directories, and in those within. Absolute paths.
    pub directories: Vec<String>,
}

/// The name under which the router knows the account of a server.
pub fn join(server: &str, account: &str) -> String {
    format!("{server}{SEPARATOR}{account}")
}

/// Splits the name under which the router knows a server into that which clients know, and the account if there are several.
pub fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once(SEPARATOR).map_or((name, None), |(server, account)| (server, Some(account)))
}

/// The command with which a person signs in at a server, or as an account of it, that the router knows under this name.
pub fn login_command(name: &str) -> String {
    match split(name) {
        (server, Some(account)) => format!("exai login {server} --account {account}"),
        (server, None) => format!("exai login {server}"),
    }
}

impl Account {
    /// The name under which the router knows it.
    pub fn joined(&self) -> Arc<str> {
        join(&self.server, &self.name).into()
    }

    /// The rule by which a client uses the account. `None` if it does not suit the client.
    fn fits(&self, client: Option<&str>, directory: Option<&str>) -> Option<String> {
        if self.clients.is_empty() && self.directories.is_empty() {
            return Some("it has no rule".to_owned());
        }
        let is_client =
            |name: &&String| client.is_some_and(|client| client.to_lowercase() == name.to_lowercase());
        if let Some(name) = self.clients.iter().find(is_client) {
            return Some(format!("`clients` names {name:?}"));
        }
        let holds =
            |path: &&String| directory.is_some_and(|directory| Path::new(directory).starts_with(path));
        let path = self.directories.iter().find(holds)?;
        Some(format!("`directories` names {path:?}, where the client was started"))
    }
}

/// All accounts, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Vec<Account>);

impl Accounts {
    pub(crate) fn replace(&mut self, accounts: Vec<Account>) {
        self.0 = accounts;
    }

    /// The accounts of a server.
    pub(crate) fn of_server(&self, server: &str) -> impl Iterator<Item = &Account> {
        self.0.iter().filter(move |account| *account.server == *server)
    }

    /// The account of a server that a client uses, and by which rule.
    pub(crate) fn find(
        &self,
        server: &str,
        client: Option<&str>,
        directory: Option<&str>,
    ) -> Option<(&Account, String)> {
        self.of_server(server).find_map(|account| Some((account, account.fits(client, directory)?)))
    }

    /// The accounts that a client uses, and those that are not for it.
    pub(crate) fn choose(&self, client: Option<&str>, directory: Option<&str>) -> ChosenAccounts {
        let mut chosen = ChosenAccounts::default();
        for account in &self.0 {
            let is_first = !chosen.own.contains_key(&account.server);
            if is_first && account.fits(client, directory).is_some() {
                chosen.own.insert(account.server.clone(), account.joined());
            } else {
                chosen.others.insert(account.joined());
            }
        }
        chosen
    }
}

/// The accounts of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChosenAccounts {
    /// The name of each server with accounts, and that of the client's account there.
    own: BTreeMap<Arc<str>, Arc<str>>,
    /// Those that are not for the client.
    others: BTreeSet<Arc<str>>,
}

impl ChosenAccounts {
    /// Whether no server has accounts.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.others.is_empty()
    }

    /// Whether this is an account that is not for the client.
    pub(crate) fn excludes(&self, server: &str) -> bool {
        self.others.contains(server)
    }

    /// The name under which the router knows a server that the client names.
    pub(crate) fn resolve<'a>(&'a self, server: &'a str) -> &'a str {
        self.own.get(server).map_or(server, |account| account)
    }

    /// What a client connects to, with its own accounts.
    pub(crate) fn resolve_endpoint(&self, wanted: &Endpoint) -> Endpoint {
        let resolve = |name: &Arc<str>| self.own.get(name).unwrap_or(name).clone();
        match wanted {
            Endpoint::All => Endpoint::All,
            Endpoint::Several(names) => Endpoint::Several(Arc::new(names.iter().map(resolve).collect())),
            Endpoint::One(name) => Endpoint::One(resolve(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, clients: &[&str], directories: &[&str]) -> Account {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Account {
            server: "hub".into(),
            name: name.into(),
            clients: texts(clients),
            directories: texts(directories),
        }
    }

    #[test]
    fn the_first_account_that_suits_a_client_is_its_own() {
        let mut accounts = Accounts::default();
        accounts.replace(vec![
            account("work", &["Cursor"], &["/u/jobs"]),
            account("club", &[], &["/u/jobs/club", "/srv"]),
        ]);
        let own = |accounts: &Accounts, client, directory| {
            accounts.find("hub", client, directory).map(|(account, _)| account.name.to_string())
        };
        for (client, directory, expected) in [
            (Some("cursor"), None, Some("work")),
            (None, Some("/u/jobs"), Some("work")),
            (None, Some("/u/jobs/deep/er"), Some("work")),
            // The first wins, however exact the second.
            (None, Some("/u/jobs/club"), Some("work")),
            (Some("other"), Some("/srv/x"), Some("club")),
            // Within, and not alike.
            (None, Some("/u/jobsshop"), None),
            (None, Some("/u"), None),
            (Some("other"), None, None),
            (None, None, None),
        ] {
            assert_eq!(own(&accounts, client, directory).as_deref(), expected, "{client:?} {directory:?}");
        }
        accounts.0.push(account("rest", &[], &[]));
        assert_eq!(own(&accounts, None, None).as_deref(), Some("rest"));
        assert!(accounts.find("other", None, None).is_none());
    }

    #[test]
    fn a_client_names_the_server_and_means_its_account() {
        let mut accounts = Accounts::default();
        accounts.replace(vec![account("work", &["a"], &[]), account("rest", &[], &[])]);
        let chosen = accounts.choose(Some("b"), None);
        assert_eq!((chosen.resolve("hub"), chosen.resolve("x")), ("hub@rest", "x"));
        assert!(chosen.excludes("hub@work") && !chosen.excludes("hub@rest"));
        assert_eq!(chosen.resolve_endpoint(&Endpoint::One("hub".into())), Endpoint::One("hub@rest".into()));
        assert_eq!((split("hub@rest"), split("hub")), (("hub", Some("rest")), ("hub", None)));
    }
}
