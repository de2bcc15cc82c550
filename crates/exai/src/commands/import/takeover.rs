//! Puts exai in the place of the servers of the clients.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use exai_client::DaemonConnector;
use exai_config::choice_edit::{self, ShownServer};
use exai_config::edit::EditError;
use exai_config::{ClientConfig, Home, ToolFilter};
use exai_proto::exit;
use exai_setup::ToolChoice;
use exai_setup::client::{Client, Directories, Launch};
use exai_setup::import::{ClientChoice, MergedServer, Origin, choose_for_client};

use super::super::install::{self, ENTRY, handshake, new_launch};
use super::super::{count, reload};
use super::naming::Named;
use super::scan::Scan;
use crate::cli::ImportArgs;
use crate::client_config::change::FileChange;
use crate::client_config::import_record::ImportRecord;
use crate::client_config::{self, refuse_if_protected};
use crate::error::Error;
use crate::printer::Printer;

/// What a takeover needs to know.
pub(super) struct Takeover<'a> {
    pub(super) home: &'a Home,
    pub(super) directories: &'a Directories,
    pub(super) args: &'a ImportArgs,
    pub(super) printer: &'a Printer,
}

/// What is about to happen to one client.
struct ClientPlan {
    client: &'static Client,
    changes: Vec<FileChange>,
    /// Those of its servers that exai takes over, by exai's names.
    servers: Vec<String>,
    /// Whether it used exai before, and so saw all of exai's servers.
    had_exai: bool,
    /// What is tried when the files are written.
    launches: Vec<Launch>,
    /// Whether the client keeps servers that exai does not take over.
    keeps_some: bool,
}

impl Takeover<'_> {
    /// Takes over those servers that are `ready`, in all of these clients. Returns the exit code.
    pub(super) fn run(
        &self,
        clients: &[&'static Client],
        scan: &Scan,
        all: &[Named],
        ready: &[Named],
        connector: &DaemonConnector,
    ) -> Result<u8, Error> {
        let mut code = exit::DONE;
        let mut plans = Vec::new();
        for client in clients {
            match self.plan(client, scan, all, ready) {
                Ok(Some(plan)) => plans.push(plan),
                Ok(None) => {}
                Err(error) => {
                    self.warn(client, &error);
                    code = exit::FAILED;
                }
            }
        }
        if plans.is_empty() {
            self.printer.line("there is nothing to take over in the clients")?;
            return Ok(code);
        }
        for change in plans.iter().flat_map(|plan| &plan.changes) {
            change.show(self.printer)?;
        }
        let files: usize = plans.iter().map(|plan| plan.changes.len()).sum();
        let question = format!("write {} of {}?", count(files, "file"), count(plans.len(), "client"));
        if !self.args.yes && !install::confirm(&question, self.printer)? {
            self.printer.line("the clients are as they were; their servers are in config.toml, too")?;
            return Ok(code);
        }
        self.choose(&plans, ready)?;
        reload(connector, None)?;
        for plan in plans {
            let client = plan.client;
            match self.write(plan) {
                Ok(()) => {}
                Err(error) => {
                    self.warn(client, &error);
                    code = exit::FAILED;
                }
            }
        }
        self.printer.hint("`exai restore` gives every client its own servers back");
        Ok(code)
    }

    fn warn(&self, client: &Client, error: &Error) {
        self.printer.warn(&format!("{}: {}", client.display_name, error.what()));
        if let Some((_, Some(hint))) = error.lines() {
            self.printer.hint(hint);
        }
    }

    /// The changes of the files of one client. `None` if it has none of these servers.
    fn plan(
        &self,
        client: &'static Client,
        scan: &Scan,
        all: &[Named],
        ready: &[Named],
    ) -> Result<Option<ClientPlan>, Error> {
        let own = |server: &&Named| server.merged.origins.iter().any(|origin| origin.client == client.id);
        let servers: Vec<String> = ready.iter().filter(own).map(|server| server.name.clone()).collect();
        if servers.is_empty() {
            return Ok(None);
        }
        let keeps_some = all.iter().filter(own).count() > servers.len()
            || scan.left.iter().any(|left| left.client == client.display_name);
        let (entry_files, _) = client_config::locate_files(client, self.directories);
        if entry_files.is_empty() {
            // Nobody can mend this by another command line, so it is no failure of this one.
            let name = client.display_name;
            self.printer.warn(&format!(
                "{name}: exai does not change its file; its servers stay there, and would run twice"
            ));
            self.printer.hint(&format!("`exai install {}` prints what you write in their place", client.id));
            return Ok(None);
        }
        install::refuse_if_it_would_be_lost(client, self.args.force, self.printer)?;
        self.refuse_if_rules_would_be_lost(client, ready)?;
        let mut had_exai = false;
        for located in &entry_files {
            had_exai |= install::has_entry(client, located)?;
        }
        let launches = self.find_launches(client, ready)?;
        let mut changes = self.replace_servers(client, ready)?;
        for located in &entry_files {
            let change = match changes.entry(located.path.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(FileChange::begin(client, located)?),
            };
            for (name, launch) in &launches {
                change.put(name, launch, self.args.force)?;
            }
        }
        let changes: Vec<FileChange> = changes.into_values().filter(FileChange::changes_anything).collect();
        if changes.is_empty() {
            return Ok(None);
        }
        let launches = launches.into_iter().map(|(_, launch)| launch).collect();
        Ok(Some(ClientPlan { client, changes, servers, had_exai, launches, keeps_some }))
    }

    /// Refuses where the user has forbidden or allowed something by the names of these servers, which are others afterwards.
    fn refuse_if_rules_would_be_lost(&self, client: &'static Client, ready: &[Named]) -> Result<(), Error> {
        if self.args.each || self.args.force {
            return Ok(());
        }
        let names: Vec<&str> = origins_of(client, ready).map(|(_, origin)| origin.name.as_str()).collect();
        for rules in client.tool_rules {
            let Some(path) = rules.paths(self.directories).into_iter().find(|path| path.exists()) else {
                continue;
            };
            let refuse =
                |error: &dyn std::fmt::Display| Error::failed(format!("{}: {error}", path.display()));
            let bytes = client_config::read(&path)?;
            let text = client_config::decode(&path, bytes.as_deref())?.text;
            let found = rules.find(&text, &names).map_err(|error| refuse(&error))?;
            if let Some(first) = found.first() {
                let what = format!(
                    "{} has rules by the names of its servers ({}), which would hold no longer; it keeps its servers",
                    path.display(),
                    exai_proto::limits::cut(first, exai_proto::limits::NAME_CHARS)
                );
                let hint = "`--each` keeps the names, and so the rules; `--force` takes over all the same";
                return Err(Error::refused(what).hint(hint));
            }
        }
        Ok(())
    }

    /// Switches the servers off in the files of a client, or takes them out where the client has no switch.
    fn replace_servers(
        &self,
        client: &'static Client,
        ready: &[Named],
    ) -> Result<BTreeMap<PathBuf, FileChange>, Error> {
        let mut changes = BTreeMap::new();
        for located in client_config::find_files(client, self.directories) {
            if located.file.is_edited() && !changes.contains_key(&located.path) {
                changes.insert(located.path.clone(), FileChange::begin(client, &located)?);
            }
        }
        for (_, origin) in origins_of(client, ready) {
            let Some(change) = changes.get_mut(&origin.file) else { continue };
            refuse_if_protected(&origin.file, self.args.force)?;
            // With `--each` exai's entry has the name of the server, so the server cannot stay under it.
            if self.args.each || !change.switch_off(&origin.name)? {
                change.take_out(self.home, &origin.name)?;
            }
        }
        Ok(changes)
    }

    /// One entry for all, or with `--each` one for each server of this client, under the name that it has there.
    fn find_launches(&self, client: &Client, ready: &[Named]) -> Result<Vec<(String, Launch)>, Error> {
        if !self.args.each {
            return Ok(vec![(ENTRY.to_owned(), new_launch(client, self.home, None)?)]);
        }
        let mut launches: Vec<(String, Launch)> = Vec::new();
        for (server, origin) in origins_of(client, ready) {
            if !launches.iter().any(|(name, _)| *name == origin.name) {
                let launch = new_launch(client, self.home, Some(server.name.clone()))?;
                launches.push((origin.name.clone(), launch));
            }
        }
        Ok(launches)
    }

    /// Lets each client see what it saw before.
    fn choose(&self, plans: &[ClientPlan], ready: &[Named]) -> Result<(), Error> {
        let config = exai_config::load(self.home)?;
        let all: Vec<String> = config.servers.names().map(str::to_owned).collect();
        let merged: Vec<(String, MergedServer)> =
            ready.iter().map(|server| (server.name.clone(), server.merged.clone())).collect();
        let mut record = ImportRecord::begin(self.home)?;
        for plan in plans {
            let id = plan.client.id;
            let failed = |error: EditError| Error::failed(error.to_string());
            let choice = choose_for_client(id, &merged, &all);
            if config.clients.find(id).is_some() {
                let tools = choice.map(|choice| choice.tools).unwrap_or_default();
                let shown: Vec<ShownServer> =
                    plan.servers.iter().map(|server| show_with(server, &tools)).collect();
                choice_edit::show_servers(self.home, id, &shown).map_err(failed)?;
                continue;
            }
            let Some(ClientChoice { servers, tools, .. }) = choice else { continue };
            // Who used exai before saw all of its servers.
            let servers = servers.filter(|_| !plan.had_exai);
            if servers.is_none() && tools == ToolChoice::default() {
                continue;
            }
            record.announce_client(id)?;
            let allow = if tools.allow.is_empty() { ToolFilter::default().allow } else { tools.allow };
            let choice = ClientConfig { servers, tools: ToolFilter { allow, deny: tools.deny } };
            choice_edit::choose(self.home, id, &choice, "what it had before `exai import --takeover`")
                .map_err(failed)?;
        }
        record.finish()
    }

    fn write(&self, plan: ClientPlan) -> Result<(), Error> {
        let ClientPlan { client, changes, servers, launches, keeps_some, .. } = plan;
        for change in changes {
            let shown = change.shown_path();
            if let Err(error) = change.write(self.home) {
                // Without its entry the client is none of exai's.
                ImportRecord::forget_client(self.home, client.id)?;
                return Err(error);
            }
            self.printer.line(&format!("{}: {shown} is written", client.display_name))?;
        }
        let rest = if keeps_some { "; the others stay its own" } else { "" };
        self.printer.line(&format!(
            "{}: exai stands in the place of {}{rest}",
            client.display_name,
            count(servers.len(), "server")
        ))?;
        handshake::report(client, &launches.iter().collect::<Vec<_>>(), self.printer)?;
        self.printer.line(client.reload)
    }
}

/// The entries of these servers in the files of a client, each with its server.
fn origins_of<'a>(client: &Client, servers: &'a [Named]) -> impl Iterator<Item = (&'a Named, &'a Origin)> {
    let id = client.id;
    let all =
        servers.iter().flat_map(|server| server.merged.origins.iter().map(move |origin| (server, origin)));
    all.filter(move |(_, origin)| origin.client == id)
}

/// A server with the patterns that are about its tools.
fn show_with(server: &str, tools: &ToolChoice) -> ShownServer {
    let start = format!("{server}__");
    let of_it = |patterns: &[String]| -> Vec<String> {
        patterns.iter().filter(|pattern| pattern.starts_with(&start)).cloned().collect()
    };
    let whole = format!("{start}*");
    let allow = of_it(&tools.allow).into_iter().filter(|pattern| *pattern != whole).collect();
    ShownServer { name: server.to_owned(), allow, deny: of_it(&tools.deny) }
}
