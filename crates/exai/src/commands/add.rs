//! `exai add`: adds what people have, tries it, and says what it offers.

mod bundle;
mod bundle_source;
mod candidate;
mod commit;
mod download;
mod hash;
mod local_models;
pub(super) mod normalise;
mod options;
mod prepare;
mod preview;
mod program;
mod questions;
mod registry;
pub(super) mod secrets;
mod sign_in_plan;
mod source;
pub(super) mod store;
mod tools_server;
mod trial;

use exai_client::DaemonConnector;
use exai_config::{Home, ServerKind};
use exai_proto::exit;

use self::candidate::Candidate;
use self::options::Options;
use self::prepare::{Prepared, choose_name, find_unseen, prepare};
use self::program::shown_name;
use self::sign_in_plan::Wish;
use self::source::Source;
use super::{connector, reload};
use crate::cli::AddArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: AddArgs, printer: &Printer) -> Result<u8, Error> {
    let options = Options::of(&args)?;
    let tools = args.tools;
    let connector = connector()?;
    let source = Source::of(args, connector.home())?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    let name_is_given = source.gives_name();
    let candidates = source.read(connector.home(), &options, printer)?;
    check_answers(&candidates, &options)?;
    let several = candidates.len() > 1;
    let mut code = exit::DONE;
    let mut left_out = |name: &str, error: Error| {
        if !several {
            return Err(error);
        }
        printer.warn(&format!("{} was not added: {}", shown_name(name), error.what()));
        code = exit::FAILED;
        Ok(())
    };
    // Everything is asked before anything is changed: a question that is interrupted leaves nothing behind.
    let mut all: Vec<Prepared> = Vec::new();
    for candidate in candidates {
        let called = candidate.plan.entry().name.clone();
        match make_ready(candidate, (connector.home(), name_is_given, &all), &options, printer)? {
            Ok(Some(prepared)) => all.push(prepared),
            Ok(None) => printer.line(&format!("{} was not added", shown_name(&called)))?,
            Err(error) => left_out(&called, error)?,
        }
    }
    let models = if tools { local_models::offer(connector.home(), &options, printer)? } else { None };
    let mut added = Vec::new();
    for prepared in all {
        let called = prepared.name.clone();
        match commit::commit(connector.home(), prepared, &options, printer) {
            Ok(name) => added.push(name),
            Err(error) => left_out(&called, error)?,
        }
    }
    for name in &added {
        announce(name, &connector, options.check, several, printer)?;
    }
    if let Some(models) = models {
        models.settle(connector.home(), printer)?;
    }
    Ok(code)
}

/// Asks what a server leaves open. The outer error ends everything; the inner one leaves this server out.
fn make_ready(
    candidate: Candidate,
    (home, name_is_given, others): (&Home, bool, &[Prepared]),
    options: &Options,
    printer: &Printer,
) -> Result<Result<Option<Prepared>, Error>, Error> {
    for warning in candidate.plan.warnings() {
        printer.warn(&warning.to_string());
    }
    let others: Vec<String> = others.iter().map(|other| other.name.clone()).collect();
    let entry = candidate.plan.entry();
    let name = match choose_name(home, entry, (name_is_given, &others), options, printer) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    find_unseen(&candidate, options, printer)?;
    if let Some(error) = questions::find_open(&candidate.plan, options) {
        return Ok(Err(error));
    }
    let answered = questions::ask_all((&candidate.plan, &name), options, printer)?;
    Ok(prepare(candidate, name, answered, options, printer))
}

/// Refuses an answer to a question that nobody asks.
fn check_answers(candidates: &[Candidate], options: &Options) -> Result<(), Error> {
    let questions = || candidates.iter().flat_map(|candidate| candidate.plan.questions());
    let is_asked = |key: &str| questions().any(|question| question.key == key);
    let Some((key, _)) = options.answers.iter().find(|(key, _)| !is_asked(key)) else { return Ok(()) };
    let known: Vec<&str> = questions().map(|question| question.key.as_str()).collect();
    let asked =
        if known.is_empty() { "for nothing".to_owned() } else { format!("for: {}", known.join(", ")) };
    Err(Error::usage(format!("nothing asks for `{}`; this asks {asked}", shown_name(key))))
}

/// Has a running daemon start the server, and says what the server offers.
fn announce(
    name: &str,
    connector: &DaemonConnector,
    check: bool,
    several: bool,
    printer: &Printer,
) -> Result<(), Error> {
    if check {
        let is_elsewhere = is_elsewhere(connector.home(), name)?;
        // A server that wants a sign-in is not started: it would only refuse.
        reload(connector, Some(name).filter(|_| !is_elsewhere))?;
        let wish = if is_elsewhere { sign_in_plan::report(name, connector, printer)? } else { Wish::Unknown };
        return match wish {
            Wish::SignIn => Ok(()),
            Wish::Nothing => trial::report(name, several, ", and wants no sign-in", printer),
            Wish::Unknown => trial::report(name, several, "", printer),
        };
    }
    let live = reload(connector, Some(name))?;
    printer.line(&if live {
        format!("added {name}; it is live and starts (`exai tools {name}` shows what it offers)")
    } else {
        format!("added {name}; no daemon runs (`exai tools {name}` starts one)")
    })
}

/// Whether a server runs elsewhere, where a sign-in may be wanted.
fn is_elsewhere(home: &Home, name: &str) -> Result<bool, Error> {
    let config = exai_config::load(home)?;
    Ok(config.servers.get(name).is_some_and(|server| server.kind() == ServerKind::Remote))
}
