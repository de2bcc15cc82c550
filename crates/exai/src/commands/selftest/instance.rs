//! A private instance of exai: a state directory of its own, and whatever runs in it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use exai_client::daemon_record::{read_record, verified};
use exai_config::{Home, environment, other_daemons};
use exai_os::process::{self, Identity, Kill};
use exai_os::{launchers, process_facts};
use exai_proto::documents::{DaemonRecord, Ps, Status};
use exai_proto::exit;
use exai_supervisor::record::TreeRecord;
use serde::de::DeserializeOwned;

use super::bench::{self, Bench, Said};
use super::client::Client;
use super::identity::{left, lives, pids};
use crate::limits::{SELFTEST_GONE_TIMEOUT, SELFTEST_LOOK_TIMEOUT};

/// Dropping it ends everything that runs in it.
pub(super) struct Instance<'a> {
    bench: &'a Bench,
    home: Home,
    /// Every process that the daemon's own records ever named.
    seen: RefCell<HashSet<Identity>>,
}

/// A server of `config.toml`: this program's own, below the system's shell.
pub(super) fn below_a_shell(bench: &Bench, name: &str, switches: &[&str]) -> Result<String, String> {
    let exe = bench.exe.to_str().ok_or("the path of this program is no text")?;
    let args = [&["selftest-server"], switches].concat();
    let (command, args) = launchers::shell(exe, &args).map_err(|error| error.to_string())?;
    Ok(server(name, &command, &args, ""))
}

/// A server of `config.toml`. `more` are further lines.
pub(super) fn server(name: &str, command: &str, args: &[String], more: &str) -> String {
    let quote = |text: &str| exai_proto::json::quote(text);
    let args: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
    let command = quote(command);
    format!(
        "[servers.{name}]\ncommand = {command}\nargs = [{}]\nstart_timeout = \"10s\"\n{more}\n",
        args.join(", ")
    )
}

impl<'a> Instance<'a> {
    pub(super) fn new(bench: &'a Bench, name: &str, servers: &str) -> Result<Self, String> {
        let home = Home::at(bench.dir(name)?);
        home.prepare().map_err(|error| error.to_string())?;
        let text = format!("[daemon]\nport = 0\n\n{servers}");
        std::fs::write(home.config(), text)
            .map_err(|error| format!("cannot write {}: {error}", home.config().display()))?;
        Ok(Instance { bench, home, seen: RefCell::default() })
    }

    /// `exai` with these arguments, for this instance.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.bench.exe);
        command
            .args(args)
            .env(environment::HOME.name, self.home.path())
            .env(environment::KEYRING.name, "off");
        command.env_remove(environment::PORT.name).env_remove(environment::LOG.name);
        command
    }

    pub(super) fn exai(&self, args: &[&str]) -> Result<Said, String> {
        self.bench.run(self.command(args))
    }

    /// Runs a command that must end with `code`, and returns what it said.
    pub(super) fn ends(&self, code: u8, args: &[&str]) -> Result<String, String> {
        let said = self.exai(args)?;
        if said.code == Some(code.into()) {
            return Ok(said.out);
        }
        let ended = said.code.map_or("was ended by a signal".to_owned(), |code| format!("ended with {code}"));
        let words = if said.err.trim().is_empty() { said.out } else { said.err };
        Err(format!("`exai {}` {ended} instead of {code}: {}", args.join(" "), words.trim()))
    }

    pub(super) fn document<T: DeserializeOwned>(&self, code: u8, args: &[&str]) -> Result<T, String> {
        let text = self.ends(code, args)?;
        serde_json::from_str(&text).map_err(|error| format!("`exai {}`: {error}: {text}", args.join(" ")))
    }

    pub(super) fn status(&self) -> Result<Status, String> {
        self.document(exit::DONE, &["status", "--json"])
    }

    pub(super) fn ps(&self) -> Result<Ps, String> {
        self.document(exit::DONE, &["ps", "--json"])
    }

    pub(super) fn start(&self) -> Result<(), String> {
        self.ends(exit::DONE, &["start"])?;
        self.remember();
        Ok(())
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// `daemon.json`
    pub(super) fn record(&self) -> Result<DaemonRecord, String> {
        read_record(&self.home)
            .ok_or_else(|| format!("{} cannot be read", self.home.daemon_record().display()))
    }

    /// The daemon by its record, alive.
    pub(super) fn daemon(&self) -> Result<Identity, String> {
        let identity = verified(&self.record()?.identity);
        if lives(&identity)? { Ok(identity) } else { Err(format!("pid {} is not the daemon", identity.pid)) }
    }

    /// The records of the trees.
    pub(super) fn trees(&self) -> Vec<TreeRecord> {
        let files = std::fs::read_dir(self.home.servers_dir()).into_iter().flatten().flatten();
        files.filter_map(|file| TreeRecord::read(&file.path()).ok()).collect()
    }

    /// The tree that has this process, once its record says so.
    pub(super) fn tree_of(&self, pid: u32) -> Result<TreeRecord, String> {
        let has_it = |tree: &TreeRecord| tree.processes.iter().any(|process| process.pid == pid);
        let what = format!("the record of a tree names pid {pid}");
        let tree =
            self.bench.wait(&what, SELFTEST_LOOK_TIMEOUT, || Ok(self.trees().into_iter().find(has_it)));
        let tree = tree.map_err(|why| format!("{why}; {}", self.recorded()))?;
        self.remember();
        Ok(tree)
    }

    /// The processes that the records name, for the report of a failure.
    fn recorded(&self) -> String {
        let trees = self.trees().into_iter().map(|tree| {
            let members = tree.processes.iter().map(|member| format!("{} {}", member.pid, member.name));
            format!("{} ({}): {}", tree.id, tree.instance, members.collect::<Vec<_>>().join(", "))
        });
        format!("the records name {}", trees.collect::<Vec<_>>().join("; "))
    }

    /// Notes the processes of this instance that the daemon's own records name.
    pub(super) fn remember(&self) {
        let daemon = self.record().ok().map(|record| verified(&record.identity));
        let members = self.trees().into_iter().flat_map(|tree| tree.processes);
        self.seen.borrow_mut().extend(daemon.into_iter().chain(members.map(|member| member.identity)));
    }

    /// A shim with this label, introduced.
    pub(super) fn client(&self, label: &str) -> Result<Client<'a>, String> {
        let mut client = self.shim(label)?;
        client.initialize()?;
        Ok(client)
    }

    /// A shim with this label.
    pub(super) fn shim(&self, label: &str) -> Result<Client<'a>, String> {
        Client::start(self.command(&["shim", "--client", label]), label, self.bench)
    }

    /// The processes that run `exai serve` for this instance, by the kernel's word; `None` where it has none.
    pub(super) fn daemons(&self) -> Option<Vec<u32>> {
        let me = std::process::id();
        process_facts::environment_variable(me, environment::HOME.name).ok()?;
        let table = process::snapshot().ok()?;
        let own_name = &table.iter().find(|one| one.pid == me)?.name;
        let serves_this = |pid: u32| {
            let home = process_facts::environment_variable(pid, environment::HOME.name).ok().flatten();
            home.is_some_and(|home| PathBuf::from(home) == self.home.path()) && other_daemons::serves(pid)
        };
        let alike = table.iter().filter(|one| one.name == *own_name && !one.zombie);
        Some(alike.map(|one| one.pid).filter(|pid| serves_this(*pid)).collect())
    }

    /// Stops it, and makes sure that nothing of it is left.
    pub(super) fn finish(self) -> Result<(), String> {
        self.remember();
        self.ends(exit::DONE, &["stop", "--timeout", "0"])?;
        let left = left(&*self.seen.borrow())?;
        if left.is_empty() { Ok(()) } else { Err(format!("`exai stop` left {}", pids(&left))) }
    }

    /// Ends whatever is left.
    fn clear(&self) {
        self.remember();
        let patient = || Ok(());
        let mut again = self.bench.is_interrupted();
        let deadline = Instant::now() + SELFTEST_GONE_TIMEOUT;
        loop {
            // There may be no daemon to end.
            let _ = bench::run(self.command(&["stop", "--timeout", "0"]), patient);
            self.remember();
            // Ctrl-C ended a command that may have been starting a daemon. The daemon cannot be stopped before it has the
            // lock.
            let starts = self.daemons().is_some_and(|pids| !pids.is_empty()) && Instant::now() < deadline;
            if !again && !starts {
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
            again = false;
        }
        let deadline = Instant::now() + SELFTEST_GONE_TIMEOUT;
        for identity in left(&*self.seen.borrow()).unwrap_or_default() {
            // A process that the daemon's records named and that still has that identity is ours.
            let _ = process::kill_verified(&identity, Kill::Force);
            let _ = process::wait_gone(&identity, deadline);
        }
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
