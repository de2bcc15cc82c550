//! `exai add`: adds what people have, tries it, and says what it offers.

mod normalise;
mod questions;
mod source;
mod trial;

use std::path::Path;
use std::time::Duration;

use exai_config::edit::{self, EditError, NewServer};
use exai_config::secret_edit::set_secret;
use exai_config::{Home, Secret, ServerConfig};
use exai_proto::exit;
use exai_setup::source::{find_secrets, make_valid_name};
use exai_setup::{ServerEntry, Transport};

use self::source::{Source, shown_name};
use super::{connector, reload};
use crate::cli::AddArgs;
use crate::error::Error;
use crate::printer::Printer;

/// The name that exai has in the files of clients.
const RESERVED_NAME: &str = "exai";

pub(crate) fn run(args: AddArgs, printer: &Printer) -> Result<u8, Error> {
    let options = Options::of(&args);
    let source = Source::of(args)?;
    let connector = connector()?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    let names_are_given = source.gives_name();
    let base = source.base()?;
    let plans = source.read(printer)?;
    let several = plans.len() > 1;
    let mut added = Vec::new();
    let mut code = exit::DONE;
    for plan in plans {
        for warning in plan.warnings() {
            printer.warn(&warning.to_string());
        }
        let one = questions::fill(&plan, printer)
            .and_then(|entry| add_one((connector.home(), &base), entry, names_are_given, &options, printer));
        match one {
            Ok(name) => added.push(name),
            Err(error) if several => {
                let name = shown_name(&plan.entry().name);
                printer.warn(&format!("{name} was not added: {}", error.what()));
                code = exit::FAILED;
            }
            Err(error) => return Err(error),
        }
    }
    for name in &added {
        let live = reload(&connector, Some(name))?;
        if options.check {
            trial::report(name, several, printer)?;
        } else if live {
            printer.line(&format!(
                "added {name}; it is live and starts (`exai tools {name}` shows what it offers)"
            ))?;
        } else {
            printer.line(&format!("added {name}; no daemon runs (`exai tools {name}` starts one)"))?;
        }
    }
    Ok(code)
}

/// What the options say of every server that is added.
struct Options {
    /// Where a command listens that opens its own port.
    url: Option<String>,
    env: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cwd: Option<String>,
    env_file: Option<String>,
    share: Option<String>,
    call_timeout: Option<Duration>,
    force: bool,
    check: bool,
}

impl Options {
    fn of(args: &AddArgs) -> Self {
        Options {
            url: args.url.clone().filter(|_| !args.command.is_empty()),
            env: args.env.clone(),
            headers: args.header.clone(),
            cwd: args.cwd.clone(),
            env_file: args.env_file.clone(),
            share: args.share.clone(),
            call_timeout: args.timeout.map(Duration::from_secs),
            force: args.force,
            check: !args.no_check,
        }
    }

    /// Lets the options win over what the source says.
    fn apply(&self, entry: &mut ServerEntry) -> Result<(), Error> {
        let set = |pairs: &mut Vec<(String, String)>, given: &[(String, String)]| {
            for (name, value) in given {
                pairs.retain(|(known, _)| known != name);
                pairs.push((name.clone(), value.clone()));
            }
        };
        match &mut entry.transport {
            Transport::Stdio { env, cwd, env_file, .. } => {
                if !self.headers.is_empty() && self.url.is_none() {
                    return Err(Error::usage("`--header` belongs to a server with a URL"));
                }
                set(env, &self.env);
                *cwd = self.cwd.clone().or_else(|| cwd.take());
                *env_file = self.env_file.clone().or_else(|| env_file.take());
            }
            Transport::Url { headers, .. } => {
                if !self.env.is_empty() || self.cwd.is_some() || self.env_file.is_some() {
                    return Err(Error::usage(
                        "`--env`, `--env-file` and `--cwd` belong to a server with a command",
                    ));
                }
                set(headers, &self.headers);
            }
        }
        entry.call_timeout = self.call_timeout.or(entry.call_timeout);
        Ok(())
    }
}

/// Adds one server. Returns its name.
fn add_one(
    (home, base): (&Home, &Path),
    mut entry: ServerEntry,
    name_is_given: bool,
    options: &Options,
    printer: &Printer,
) -> Result<String, Error> {
    options.apply(&mut entry)?;
    normalise::make_absolute(&mut entry, base)?;
    let config = exai_config::load(home)?;
    let name = if name_is_given {
        if entry.name.eq_ignore_ascii_case(RESERVED_NAME) && !options.force {
            let what = "the name `exai` is that of exai itself in the files of clients";
            return Err(Error::usage(what).hint("take another name; `--force` takes this one"));
        }
        entry.name.clone()
    } else {
        let taken = config.servers.names().filter(|known| !(options.force && *known == entry.name));
        let is_there = config.servers.names().any(|known| known.eq_ignore_ascii_case(&entry.name));
        if is_there && !options.force {
            let what = format!("there is a server `{}` already", entry.name);
            return Err(Error::failed(what).hint("`--force` replaces it"));
        }
        let valid = make_valid_name(&entry.name, taken);
        if valid.changed {
            printer.warn(&format!("`{}` is called {} here", shown_name(&entry.name), valid.name));
        }
        valid.name
    };
    let server = keep_secrets(home, &name, entry, options, printer)?;
    edit::add(home, &name, &server, options.force).map_err(|error| match error {
        EditError::Exists { .. } => Error::failed(error.to_string()).hint("`--force` replaces it"),
        EditError::Name(_) => Error::usage(error.to_string()),
        EditError::Unknown { .. }
        | EditError::Config(_)
        | EditError::Busy { .. }
        | EditError::Lock { .. }
        | EditError::Write { .. } => Error::failed(error.to_string()),
    })?;
    let config = exai_config::load(home)?;
    for mistake in config.servers.get(&name).into_iter().flat_map(ServerConfig::likely_mistakes) {
        printer.warn(&mistake);
    }
    Ok(name)
}

/// Moves the secrets of a server to `secrets.toml`, and says so.
fn keep_secrets(
    home: &Home,
    name: &str,
    mut entry: ServerEntry,
    options: &Options,
    printer: &Printer,
) -> Result<NewServer, Error> {
    let secret: Vec<String> = find_secrets(&entry).into_iter().map(ToOwned::to_owned).collect();
    let pairs = match &mut entry.transport {
        Transport::Stdio { env, .. } => env,
        Transport::Url { headers, .. } => headers,
    };
    for (key, value) in pairs.iter_mut().filter(|(key, _)| secret.contains(key)) {
        let kept = format!("{name}.{key}");
        let reference = format!("${{secret:{kept}}}");
        set_secret(home, &kept, Secret::new(std::mem::replace(value, reference)))?;
        printer.warn(&format!("the value of {key} looks like a secret; it is in secrets.toml as {kept}"));
    }
    let secrets = |pairs: Vec<(String, String)>| {
        pairs.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()
    };
    let mut server = NewServer {
        share: options.share.clone(),
        start_timeout: entry.start_timeout,
        call_timeout: entry.call_timeout,
        allowed_tools: entry.tools.allow,
        denied_tools: entry.tools.deny,
        ..NewServer::default()
    };
    match entry.transport {
        Transport::Stdio { command, args, env, cwd, .. } => {
            server.command = Some(command);
            server.args = args;
            server.env = secrets(env);
            server.cwd = cwd;
            server.url.clone_from(&options.url);
            if options.url.is_some() {
                server.headers = secrets(options.headers.clone());
            }
        }
        Transport::Url { url, headers } => {
            server.url = Some(url);
            server.headers = secrets(headers);
        }
    }
    Ok(server)
}
