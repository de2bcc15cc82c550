//! What the options of `exai add` say of every server that is added.

use std::time::Duration;

use exai_setup::{ServerEntry, Transport};

use super::normalise::make_path_absolute;
use crate::cli::AddArgs;
use crate::error::Error;
use crate::short_forms::is_via;

/// What the options say of every server that is added.
pub(super) struct Options {
    /// Where a command listens that opens its own port.
    pub(super) url: Option<String>,
    /// The machine whose exai hosts the server.
    pub(super) via: Option<String>,
    /// Its name there.
    pub(super) name_there: Option<String>,
    /// The path of exai there.
    pub(super) remote_command: Option<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) env_file: Option<String>,
    pub(super) share: Option<String>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) force: bool,
    pub(super) check: bool,
    /// Whether to do without questions where that is possible.
    pub(super) yes: bool,
    /// Answers to what a description asks, by the key of the question.
    pub(super) answers: Vec<(String, String)>,
}

impl Options {
    pub(super) fn of(args: &AddArgs) -> Result<Self, Error> {
        let given = args.command.first().filter(|word| args.command.len() == 1 && is_via(word));
        let via = args.via.as_ref().or(given);
        if via.is_none() && (args.server.is_some() || args.remote_command.is_some()) {
            return Err(Error::usage(
                "`--server` and `--remote-command` belong to a server of another exai: `--via ssh://HOST`",
            ));
        }
        if via.is_some() && !args.header.is_empty() {
            return Err(Error::usage("`--header` belongs to a server with a URL"));
        }
        Ok(Options {
            url: args.url.clone().filter(|_| !args.command.is_empty()),
            via: via.cloned(),
            name_there: args.server.clone(),
            remote_command: args.remote_command.clone(),
            env: args.env.clone(),
            headers: args.header.clone(),
            cwd: args.cwd.as_deref().map(make_path_absolute),
            env_file: args.env_file.as_deref().map(make_path_absolute),
            share: args.share.clone().or_else(|| args.tools.then(|| "auto".to_owned())),
            call_timeout: args.timeout.map(Duration::from_secs),
            force: args.force,
            check: !args.no_check,
            yes: args.yes,
            answers: args.set.clone(),
        })
    }

    /// Lets the options win over what the source says.
    pub(super) fn apply(&self, entry: &mut ServerEntry) -> Result<(), Error> {
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
                if self.cwd.is_some() || self.env_file.is_some() {
                    return Err(Error::usage("`--env-file` and `--cwd` belong to a server with a command"));
                }
                set(headers, &self.headers);
            }
        }
        entry.call_timeout = self.call_timeout.or(entry.call_timeout);
        Ok(())
    }
}
